package peer

import (
	"context"

	"viakv/handoff"
	"viakv/node/wire"
	"viakv/quorum/replica"
	"viakv/ring/keyspace"
)

// serveBulk answers the bulk requests of another member's hand-off, scans or operator. An active
// member answers all of them. A pending member takes what is pushed, and reports what it holds so
// far, which only people see.
func (e *Epoch) serveBulk(ctx context.Context, dst []byte, op wire.Op, stamp wire.Stamp, body []byte) []byte {
	if status := e.admit(stamp, op == wire.Push || op == wire.Report); status != wire.OK {
		return e.refuse(dst, status)
	}
	mark := len(dst)
	dst = e.reply(dst, wire.OK)
	var err error
	switch op {
	case wire.Digests:
		dst, err = e.serveDigests(dst, body)
	case wire.Report:
		dst, err = e.serveReport(dst, body)
	case wire.Tags:
		dst, err = e.serveTags(dst, body)
	case wire.Copy:
		dst, err = e.serveCopy(dst, body)
	case wire.Fetch:
		dst, err = e.serveFetch(dst, body)
	case wire.Push:
		err = e.servePush(body)
	case wire.Purge:
		var held bool
		if held, err = e.serveHold(body); err == nil && !held {
			return e.refuse(dst[:mark], wire.Nack)
		}
	default:
		err = wire.ErrMalformed
	}
	switch err {
	case nil:
		return dst
	case replica.ErrEpoch:
		return e.refuseLater(ctx, dst[:mark])
	}
	return e.refuse(dst[:mark], wire.Malformed)
}

// refuseLater refuses a request that the end of its epoch has overtaken. The refusal carries the
// topology that is about to be published.
func (e *Epoch) refuseLater(ctx context.Context, dst []byte) []byte {
	e.wait(ctx, transitionTime)
	return e.membership.present.Load().refuse(dst, wire.Stale)
}

func (e *Epoch) serveDigests(dst, body []byte) ([]byte, error) {
	ranges, err := wire.ParseRanges(nil, body)
	if err != nil {
		return dst, err
	}
	digests := make([]replica.Digest, len(ranges))
	for i, r := range ranges {
		d, err := e.Store.Digest(e.View.Epoch, r)
		if err != nil {
			return dst, err
		}
		digests[i] = d
	}
	return wire.AppendDigests(dst, digests), nil
}

// serveReport answers with the digest of everything that this node holds.
func (e *Epoch) serveReport(dst, body []byte) ([]byte, error) {
	if len(body) != 0 {
		return dst, wire.ErrMalformed
	}
	d, err := e.Store.Digest(e.View.Epoch, keyspace.All())
	return wire.AppendDigests(dst, []replica.Digest{d}), err
}

func (e *Epoch) serveTags(dst, body []byte) ([]byte, error) {
	r, err := wire.ParseRangeRequest(body)
	if err != nil {
		return dst, err
	}
	limit := min(r.Max, tagLimit)
	var tags []replica.TagAt
	next, err := e.Store.Walk(e.View.Epoch, r.Range, r.After, func(found replica.Entry) bool {
		if n := len(tags); n > 0 && tags[n-1].Rank == found.Rank {
			tags[n-1] = replica.TagAt{Rank: found.Rank, Shared: true}
		} else {
			tags = append(tags, replica.TagAt{Rank: found.Rank, Tag: found.Record.Tag, Owner: found.Record.Owner})
		}
		return uint64(len(tags)) < limit
	})
	if err != nil {
		return dst, err
	}
	if len(next.Key) > 0 { // the walk stopped within a rank; one shared entry stands for all of it
		tags[len(tags)-1] = replica.TagAt{Rank: next.Rank, Shared: true}
		next.Rank++
	}
	return wire.AppendTags(dst, next.Rank, tags), nil
}

// Bounds of one answer, whatever the request asked for. Even with the longest tags, and with one
// record more, an answer stays well below a frame.
const (
	tagLimit  = wire.MaxTags / 2
	copyLimit = 2 << 20
)

func (e *Epoch) serveCopy(dst, body []byte) ([]byte, error) {
	r, err := wire.ParseRangeRequest(body)
	if err != nil {
		return dst, err
	}
	p := portion{dst: dst, limit: len(dst) + int(min(r.Max, copyLimit))}
	next, err := e.Store.Walk(e.View.Epoch, r.Range, r.After, p.add)
	return wire.AppendNext(p.dst, next), err
}

func (e *Epoch) serveFetch(dst, body []byte) ([]byte, error) {
	ranks, after, err := wire.ParseRanks(nil, body)
	if err != nil {
		return dst, err
	}
	p := portion{dst: dst, limit: len(dst) + copyLimit}
	var next keyspace.Place
	// The first rank is always begun, so that each answer makes progress.
	for i, rank := range ranks {
		if i > 0 && p.full() {
			next.Rank = rank
			break
		}
		stopped, err := e.Store.Walk(e.View.Epoch, keyspace.Range{From: rank, To: rank + 1}, after, p.add)
		if err != nil {
			return dst, err
		}
		if len(stopped.Key) > 0 {
			next = stopped
			break
		}
		after = nil
	}
	return wire.AppendNext(p.dst, next), nil
}

// portion is a list of records that is sent in one answer.
type portion struct {
	dst     []byte
	limit   int // the length of dst at which the portion is full; the last record may exceed it
	records int
}

// add adds a record and reports whether another one fits.
func (p *portion) add(e replica.Entry) bool {
	p.dst = wire.AppendEntry(p.dst, e.Key, &e.Record)
	p.records++
	return !p.full()
}

func (p *portion) full() bool { return len(p.dst) >= p.limit || p.records == wire.MaxRecords }

func (e *Epoch) servePush(body []byte) error {
	_, records, err := wire.ParseRecords(nil, body)
	if err != nil {
		return err
	}
	for i := range records {
		r := &records[i]
		e.membership.Counter.Observe(r.Record.Tag.Counter)
		if _, err := e.Store.Put(e.View.Epoch, e.View.Seed.Hash(r.Key), r.Key, &r.Record); err != nil {
			return replica.ErrEpoch // another generation means another epoch, too
		}
	}
	return nil
}

func (e *Epoch) serveHold(body []byte) (bool, error) {
	id, tombstones, err := wire.ParseList(nil, body)
	if err != nil {
		return false, err
	}
	return e.membership.cfg.Host.Hold(&handoff.List{ID: id, At: e.View.Epoch, Tombstones: tombstones})
}
