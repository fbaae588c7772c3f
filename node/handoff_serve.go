package node

import (
	"context"

	"viakv/handoff"
	"viakv/node/topology"
	"viakv/node/wire"
	"viakv/quorum/replica"
	"viakv/ring/keyspace"
)

// serveBulk answers hand-off's requests of another member. An active member answers all of them; a
// pending one takes what is pushed, and reports how far it is, which nobody counts on.
func (s *state) serveBulk(_ context.Context, dst []byte, op wire.Op, stamp wire.Stamp, body []byte) []byte {
	if status := s.admit(stamp, op == wire.Push || op == wire.Report); status != wire.OK {
		return s.refuse(dst, status)
	}
	mark := len(dst)
	dst = wire.AppendReply(dst, wire.OK, s.life.clock.Now(), s.view.Epoch)
	var err error
	switch op {
	case wire.Digests:
		dst, err = s.serveDigests(dst, body)
	case wire.Report:
		dst, err = s.serveReport(dst, body)
	case wire.Tags:
		dst, err = s.serveTags(dst, body)
	case wire.Copy:
		dst, err = s.serveCopy(dst, body)
	case wire.Fetch:
		dst, err = s.serveFetch(dst, body)
	case wire.Push:
		err = s.servePush(body)
	case wire.Purge:
		var held bool
		if held, err = s.serveHold(body); err == nil && !held {
			return s.refuse(dst[:mark], wire.Nack)
		}
	default:
		err = wire.ErrMalformed
	}
	switch err {
	case nil:
		return dst
	case replica.ErrEpoch:
		return s.life.refuseLater(dst[:mark], s)
	}
	return s.refuse(dst[:mark], wire.Malformed)
}

// refuseLater refuses a request that an epoch's end has overtaken, with the topology that is about
// to be published.
func (l *life) refuseLater(dst []byte, s *state) []byte {
	s.wait(l.ctx, transitionTime)
	return l.state.Load().refuse(dst, wire.Stale)
}

func (s *state) serveDigests(dst, body []byte) ([]byte, error) {
	ranges, err := wire.ParseRanges(nil, body)
	if err != nil {
		return dst, err
	}
	digests := make([]replica.Digest, len(ranges))
	for i, r := range ranges {
		d, err := s.store.Digest(s.view.Epoch, r)
		if err != nil {
			return dst, err
		}
		digests[i] = d
	}
	return wire.AppendDigests(dst, digests), nil
}

// serveReport answers with the digest of everything that is held here.
func (s *state) serveReport(dst, body []byte) ([]byte, error) {
	if len(body) != 0 {
		return dst, wire.ErrMalformed
	}
	d, err := s.store.Digest(s.view.Epoch, keyspace.All())
	return wire.AppendDigests(dst, []replica.Digest{d}), err
}

func (s *state) serveTags(dst, body []byte) ([]byte, error) {
	r, err := wire.ParseRangeRequest(body)
	if err != nil {
		return dst, err
	}
	limit := min(r.Max, tagLimit)
	var tags []replica.TagAt
	next, err := s.store.Walk(s.view.Epoch, r.Range, r.After, func(e replica.Entry) bool {
		if n := len(tags); n > 0 && tags[n-1].Rank == e.Rank {
			tags[n-1] = replica.TagAt{Rank: e.Rank, Shared: true}
		} else {
			tags = append(tags, replica.TagAt{Rank: e.Rank, Tag: e.Record.Tag, Owner: e.Record.Owner})
		}
		return uint64(len(tags)) < limit
	})
	if err != nil {
		return dst, err
	}
	if len(next.Key) > 0 { // the last rank has more, and one entry says all about it
		tags[len(tags)-1] = replica.TagAt{Rank: next.Rank, Shared: true}
		next.Rank++
	}
	return wire.AppendTags(dst, next.Rank, tags), nil
}

// Bounds of one answer, whatever was asked for: with the longest tags, and a record more, they are
// well below a frame.
const (
	tagLimit  = wire.MaxTags / 2
	copyLimit = 2 << 20
)

func (s *state) serveCopy(dst, body []byte) ([]byte, error) {
	r, err := wire.ParseRangeRequest(body)
	if err != nil {
		return dst, err
	}
	p := portion{dst: dst, limit: len(dst) + int(min(r.Max, copyLimit))}
	next, err := s.store.Walk(s.view.Epoch, r.Range, r.After, p.add)
	return wire.AppendNext(p.dst, next), err
}

func (s *state) serveFetch(dst, body []byte) ([]byte, error) {
	ranks, after, err := wire.ParseRanks(nil, body)
	if err != nil {
		return dst, err
	}
	p := portion{dst: dst, limit: len(dst) + copyLimit}
	var next keyspace.Place
	for i, rank := range ranks {
		if i > 0 && p.full() {
			next.Rank = rank
			break
		}
		stopped, err := s.store.Walk(s.view.Epoch, keyspace.Range{From: rank, To: rank + 1}, after, p.add)
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

// portion is a list of records that is sent at once.
type portion struct {
	dst     []byte
	limit   int // of dst; the last record may go beyond it
	records int
}

// add adds a record and reports whether another one fits.
func (p *portion) add(e replica.Entry) bool {
	p.dst = wire.AppendEntry(p.dst, e.Key, &e.Record)
	p.records++
	return !p.full()
}

func (p *portion) full() bool { return len(p.dst) >= p.limit || p.records == wire.MaxRecords }

func (s *state) servePush(body []byte) error {
	_, records, err := wire.ParseRecords(nil, body)
	if err != nil {
		return err
	}
	for i := range records {
		r := &records[i]
		s.life.clock.Observe(r.Record.Tag.Counter)
		if _, err := s.store.Put(s.view.Epoch, s.topology.Seed.Hash(r.Key), r.Key, &r.Record); err != nil {
			return replica.ErrEpoch // a record of another generation is from another epoch, too
		}
	}
	return nil
}

func (s *state) serveHold(body []byte) (bool, error) {
	if s.role != topology.Active {
		return false, nil
	}
	id, tombstones, err := wire.ParseList(nil, body)
	if err != nil {
		return false, err
	}
	return s.life.driver.Hold(&handoff.List{ID: id, At: s.view.Epoch, Tombstones: tombstones})
}
