package peer

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"viakv/api/kv"
	"viakv/handoff"
	"viakv/node/transport"
	"viakv/node/wire"
	"viakv/quorum"
	"viakv/quorum/replica"
	"viakv/quorum/scan"
	"viakv/quorum/version"
)

// Client carries this node's requests to other members: the calls of its coordinators, and the bulk
// requests of hand-off and of scans. It is safe for concurrent use.
type Client struct{}

var (
	_ quorum.Peers  = Client{}
	_ scan.Peers    = Client{}
	_ handoff.Peers = Client{}
)

// Likely implements quorum.Peers.
func (Client) Likely(v *replica.View, member int) bool {
	k := Of(v).links[member]
	m := &v.Members[member]
	return k.likely() && k.notLeaving(m) && k.there(m)
}

// Answers implements quorum.Peers.
func (Client) Answers(v *replica.View, member int) bool {
	k := Of(v).links[member]
	m := &v.Members[member]
	return k.answers() && k.notLeaving(m) && k.there(m)
}

// Heard implements quorum.Peers.
func (Client) Heard(v *replica.View, member int) time.Time {
	e := Of(v)
	return e.membership.cfg.Transport.Health(e.links[member].address).LastReply
}

// carrier is the transport's side of one quorum.Call. It stays with its call, so that its buffers
// are made once.
type carrier struct {
	call  *quorum.Call
	epoch *Epoch
	link  *link

	// Of a call that stores a record, guarded by the lock of the link's stream.
	batch *batch // nil: it has ended, or is about to
	place int    // among the batch's calls
	// first is the place of its first record among the batch's, and records is how many it has.
	first, records int

	// Of the other calls.
	tries int
	seen  bool // the peer has answered that it is behind
	wire  transport.Call
	// stage says where the call is. While its peer is brought up to date, the transport does not
	// hold the call and cannot withdraw it.
	stage atomic.Uint32
}

// Stages of a call.
const (
	sent      = iota // with the transport, which can withdraw it
	waiting          // waiting for the peer to be brought up to date
	unwanted         // as waiting, but the operation does not wait for the call any more
	resending        // being sent once more
)

// Start implements quorum.Peers.
func (Client) Start(v *replica.View, call *quorum.Call) {
	c, _ := call.Carrier.(*carrier)
	if c == nil {
		c = &carrier{call: call}
		c.wire.Done = c
		call.Carrier = c
	}
	c.epoch = Of(v)
	c.link = c.epoch.links[call.Member]
	if call.Kind == quorum.Store {
		c.link.stores.add(c)
		return
	}
	c.tries, c.seen = 0, false
	c.wire.Urgent = call.Urgent
	c.wire.Request = c.encode(c.wire.Request[:0])
	c.send()
}

// Cancel implements quorum.Peers. A peer that has left the call unanswered for longer than slow is
// asked after the other members for a while.
func (Client) Cancel(call *quorum.Call) bool {
	c := call.Carrier.(*carrier)
	ok, silent := c.withdraw()
	if now := time.Now(); silent && now.Sub(call.Began) > slow {
		c.link.suspect(now)
	}
	return ok
}

// withdraw makes the call not end any more. It returns false when the call has ended, or will end
// by itself. silent reports whether the peer has left a call that was withdrawn unanswered.
func (c *carrier) withdraw() (ok, silent bool) {
	if c.call.Kind == quorum.Store {
		return c.link.stores.withdraw(c)
	}
	if c.stage.Load() != sent {
		c.stage.CompareAndSwap(waiting, unwanted)
		return false, false
	}
	ok = c.epoch.membership.cfg.Transport.Cancel(&c.wire)
	return ok, ok
}

func (c *carrier) send() {
	c.tries++
	c.epoch.membership.cfg.Transport.Go(c.link.address, transport.Data, &c.wire)
}

// resend implements repeater.
func (c *carrier) resend() {
	if !c.stage.CompareAndSwap(waiting, resending) {
		c.fail(errUnwanted, true)
		return
	}
	c.send()
	// A reply may have ended the call already, and its next use may have begun. Then the stage has
	// changed already.
	c.stage.CompareAndSwap(resending, sent)
}

var (
	errUnwanted = errors.New("given up while the peer was brought up to date")
	errBehind   = errors.New("the peer does not reach this epoch")
)

// fail implements repeater: it ends the call without a reply of the replica.
func (c *carrier) fail(err error, nothingDone bool) {
	c.call.Status, c.call.Err, c.call.NotSent = quorum.Failed, err, nothingDone && c.neverDone()
	c.stage.Store(sent)
	c.call.End()
}

// reset clears what an earlier reply has said.
func (c *carrier) reset() {
	call := c.call
	call.Reply, call.Full, call.Confirmed, call.NotSent, call.Err = version.Record{}, false, false, false, nil
	call.Doubts, call.Names = call.Doubts[:0], call.Names[:0]
}

// neverDone reports whether a call of which the peer has done nothing will stay undone. A remove
// must not be done twice. An earlier copy of it that the peer has seen may still be on the way, and
// may find that the peer has caught up.
func (c *carrier) neverDone() bool {
	return !c.seen || c.call.Kind != quorum.Remove
}

// maxTries bounds the repetition towards a peer that says that it is behind. A call is sent at most
// maxTries times; a bulk request is repeated at most maxTries times. The peer is brought up to date
// before each repetition.
const maxTries = 3

// Complete implements transport.Completer. It runs in the goroutine that reads the connection.
func (c *carrier) Complete(*transport.Call) {
	call := c.call
	c.reset()
	if err := c.wire.Err; err != nil {
		c.link.suspect(time.Now())
		c.fail(err, errors.Is(err, transport.ErrNotSent))
		return
	}
	r, err := wire.ParseReply(c.wire.Reply)
	if err != nil {
		c.fail(unreadable(c.link, err), false)
		return
	}
	c.link.answered(r.Status)
	c.epoch.membership.hear(call.Target, &r)
	switch r.Status {
	case wire.Behind:
		c.seen = true
		if c.tries < maxTries {
			c.stage.Store(waiting)
			c.epoch.membership.updatePeer(c.link, c)
			return
		}
		c.fail(errBehind, true)
		return
	case wire.Stale:
		c.epoch.membership.learn(r.Epoch, r.Body)
		call.Status = quorum.Stale
	default:
		c.decode(r)
	}
	c.stage.Store(sent)
	call.End()
}

// encode appends the request of a call that stores nothing.
func (c *carrier) encode(dst []byte) []byte {
	call, stamp := c.call, c.epoch.stamp(c.call.Target)
	switch call.Kind {
	case quorum.ReadTag, quorum.ReadRecord:
		dst = wire.AppendRequest(dst, wire.Read, stamp)
		return wire.AppendRead(dst, &wire.ReadRequest{Value: call.Kind == quorum.ReadRecord, Have: call.Have, Key: call.Key})
	case quorum.Vote:
		e := &call.Records[0]
		return wire.AppendStore(wire.AppendRequest(dst, wire.Vote, stamp), 0, e.Key, e.Record)
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
	case wire.OK:
		call.Status = quorum.OK
	case wire.Same:
		call.Status = quorum.Same
	case wire.Nack:
		call.Status = quorum.Nack
	case wire.Missing:
		call.Status = quorum.Missing
	case wire.Unknown:
		call.Status, call.Err = quorum.Open, errors.New("outcome unknown there")
		if string(r.Body) == wire.Contended {
			call.Err = kv.ErrContended
		}
	default:
		call.Status, call.NotSent = quorum.Failed, refusedForGood(r.Status)
		call.Err = refused(&r)
		return
	}
	var err error
	switch call.Kind {
	case quorum.ReadTag, quorum.ReadRecord:
		var reply wire.ReadReply
		reply, err = wire.ParseReadReply(call.Names, r.Body, r.Status == wire.Same)
		call.Full, call.Confirmed, call.Names, call.Reply = reply.Full, reply.Confirmed, reply.Names, reply.Record
	case quorum.Vote:
		var reply wire.Acknowledgement
		reply, err = wire.ParseAcknowledgement(call.Names, r.Body, 1)
		call.Names = reply.Names
	}
	if err != nil {
		call.Status, call.Err = quorum.Failed, unreadable(c.link, err)
	}
}
