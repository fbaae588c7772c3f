package peer

import (
	"errors"
	"fmt"
	"time"

	"viakv/node/wire"
	"viakv/quorum"
	"viakv/quorum/version"
)

// The quorum phases on the wire: how a call becomes a request, how a reply becomes the call's
// answer, and what the replica does in between.

// encode appends the call's request.
func (c *carrier) encode(dst []byte) []byte {
	call, stamp := c.call, c.epoch.stamp(c.call.Target)
	switch call.Kind {
	case quorum.ReadTag, quorum.ReadRecord:
		dst = wire.AppendRequest(dst, wire.Read, stamp)
		return wire.AppendRead(dst, &wire.ReadRequest{Value: call.Kind == quorum.ReadRecord, Have: call.Have, Key: call.Key})
	case quorum.Store:
		return wire.AppendStore(wire.AppendRequest(dst, wire.Store, stamp), call.Key, call.Record)
	case quorum.StoreIf:
		return wire.AppendStoreIf(wire.AppendRequest(dst, wire.StoreIf, stamp), call.Have, call.Key, call.Record)
	case quorum.Vote:
		return wire.AppendStore(wire.AppendRequest(dst, wire.Vote, stamp), call.Key, call.Record)
	case quorum.Remove:
		return wire.AppendRemove(wire.AppendRequest(dst, wire.Remove, stamp),
			&wire.RemoveRequest{Key: call.Key, R: call.R, W: call.W, Left: time.Until(call.Deadline), Sequence: call.Sequence, Trace: call.Trace()})
	}
	panic(fmt.Sprintf("peer: call of kind %d", call.Kind))
}

// decode fills in what a reply of the replica says.
func (c *carrier) decode(r wire.Reply) {
	call := c.call
	switch r.Status {
	case wire.OK, wire.Same:
		call.Status = quorum.OK
		if r.Status == wire.Same {
			call.Status = quorum.Same
		}
		switch call.Kind {
		case quorum.ReadTag, quorum.ReadRecord, quorum.StoreIf:
			reply, err := wire.ParseReadReply(r.Body, r.Status == wire.Same)
			if err != nil {
				call.Status, call.Err = quorum.Failed, fmt.Errorf("a reply of %s: %w", c.link.address, err)
				return
			}
			call.Full, call.Reply = reply.Full, reply.Record
		}
	case wire.Nack:
		call.Status = quorum.Nack
	case wire.Missing:
		call.Status = quorum.Missing
	case wire.Unknown:
		call.Status, call.Err = quorum.Open, errors.New("outcome unknown there")
	default:
		call.Status, call.NotSent = quorum.Failed, call.Kind != quorum.StoreIf || r.Status == wire.NotActive
		call.Err = fmt.Errorf("refused: %v %s", r.Status, r.Body)
	}
}

// serveRead answers with the replica's record. It answers Same when the record has the tag that the
// coordinator holds, too.
func (e *Epoch) serveRead(dst, body []byte) ([]byte, error) {
	r, err := wire.ParseRead(body)
	if err != nil {
		return dst, err
	}
	hash := e.View.Seed.Hash(r.Key)
	var scratch [scratchSize]byte
	var rec version.Record
	if r.Value {
		rec, _, err = e.Store.Get(e.View.Epoch, hash, r.Key, scratch[:0])
	} else {
		rec, _, err = e.Store.Tag(e.View.Epoch, hash, r.Key, scratch[:0])
	}
	if err != nil {
		return dst, err
	}
	if rec.Tag == r.Have {
		return wire.AppendFlags(e.reply(dst, wire.Same), e.Store.Full()), nil
	}
	dst = e.reply(dst, wire.OK)
	return wire.AppendReadReply(dst, &wire.ReadReply{Full: e.Store.Full(), Record: rec}), nil
}

// scratchSize is the size of a buffer that fits most records without growing: the longest value
// with an ordinary vector.
const scratchSize = 1280

// serveStore merges a record.
func (e *Epoch) serveStore(dst, body []byte) ([]byte, error) {
	r, err := wire.ParseStore(body)
	if err != nil {
		return dst, err
	}
	e.membership.Clock.Observe(r.Record.Tag.Counter)
	if _, err := e.Store.Put(e.View.Epoch, e.View.Seed.Hash(r.Key), r.Key, &r.Record); err != nil {
		return dst, err
	}
	return e.reply(dst, wire.OK), nil
}

// serveStoreIf stores the offered record if this replica holds the tag that the coordinator holds,
// and otherwise answers as to a query. Its caller has made sure that this is the first copy of the
// request (D10). A full replica takes no offer.
func (e *Epoch) serveStoreIf(dst []byte, r *wire.StoreIfRequest) ([]byte, error) {
	e.membership.Clock.Observe(r.Record.Tag.Counter)
	hash, full := e.View.Seed.Hash(r.Key), e.Store.Full()
	if !full {
		stored, err := e.Store.PutIf(e.View.Epoch, hash, r.Key, r.Have, &r.Record)
		if err != nil {
			return dst, err
		}
		if stored {
			return wire.AppendFlags(e.reply(dst, wire.Same), false), nil
		}
	}
	var scratch [scratchSize]byte
	rec, _, err := e.Store.Tag(e.View.Epoch, hash, r.Key, scratch[:0])
	if err != nil {
		return dst, err
	}
	dst = e.reply(dst, wire.OK)
	return wire.AppendReadReply(dst, &wire.ReadReply{Full: full, Record: rec}), nil
}

// serveVote votes for a tombstone, or answers Nack.
func (e *Epoch) serveVote(dst, body []byte) ([]byte, error) {
	r, err := wire.ParseStore(body)
	if err != nil {
		return dst, err
	}
	if !r.Record.Tag.Removed {
		return dst, wire.ErrMalformed
	}
	e.membership.Clock.Observe(r.Record.Tag.Counter)
	voted, err := e.Store.Vote(e.View.Epoch, e.View.Seed.Hash(r.Key), r.Key, &r.Record)
	if err != nil {
		return dst, err
	}
	status := wire.Nack
	if voted {
		status = wire.OK
	}
	return e.reply(dst, status), nil
}
