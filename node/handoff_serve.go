package node

import (
	"context"

	"viakv/handoff"
	"viakv/node/storage"
	"viakv/node/topology"
	"viakv/node/wire"
	"viakv/ring/keyspace"
)

// serveBulk answers hand-off's requests of another member. An active member answers all of them; a pending one takes what is pushed, and
// reports how far it is, which nobody counts on.
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
	// What was read while the next epoch began must not be taken for this one's (H1).
	if err == nil {
		err = (handoffStore{s.life}).still(s.view.Epoch)
	}
	switch err {
	case nil:
		return dst
	case handoff.ErrMoved:
		return s.life.refuseLater(dst[:mark], s)
	}
	return s.refuse(dst[:mark], wire.Malformed)
}

// refuseLater refuses a request that an epoch's end has overtaken, with the topology that is about to be published.
func (l *life) refuseLater(dst []byte, s *state) []byte {
	s.wait(l.ctx, transitionTime)
	return l.state.Load().refuse(dst, wire.Stale)
}

func (s *state) serveDigests(dst, body []byte) ([]byte, error) {
	ranges, err := wire.ParseRanges(nil, body)
	if err != nil {
		return dst, err
	}
	digests := make([]wire.Digest, len(ranges))
	for i, r := range ranges {
		digests[i] = encodeDigest(s.store.Digest(r))
	}
	return wire.AppendDigests(dst, digests), nil
}

// serveReport answers with the digest of everything that is held here.
func (s *state) serveReport(dst, body []byte) ([]byte, error) {
	if len(body) != 0 {
		return dst, wire.ErrMalformed
	}
	return wire.AppendDigests(dst, []wire.Digest{encodeDigest(s.store.Digest(keyspace.All()))}), nil
}

func (s *state) serveTags(dst, body []byte) ([]byte, error) {
	r, err := wire.ParseRangeRequest(body)
	if err != nil {
		return dst, err
	}
	limit := min(r.Max, wire.MaxTags/2) // whole ranks may add a few
	var tags []wire.RankedTag
	next := walk(s.store, r.Range, func(e storage.Entry) bool {
		tags = append(tags, wire.RankedTag{Rank: e.Rank, Tag: e.Record.Tag, Owner: e.Record.Owner})
		return uint64(len(tags)) < limit
	})
	return wire.AppendTags(dst, next, tags), nil
}

// copyLimit bounds one answer to a Copy, whatever was asked for.
const copyLimit = 1 << 20

func (s *state) serveCopy(dst, body []byte) ([]byte, error) {
	r, err := wire.ParseRangeRequest(body)
	if err != nil {
		return dst, err
	}
	limit := len(dst) + int(min(r.Max, copyLimit))
	mark := len(dst)
	dst = wire.AppendRecords(dst, 0)
	next := walk(s.store, r.Range, func(e storage.Entry) bool {
		dst = wire.AppendKeyed(dst, e.Key, &e.Record)
		return len(dst) < limit
	})
	wire.SetNext(dst[mark:], next)
	return dst, nil
}

func (s *state) serveFetch(dst, body []byte) ([]byte, error) {
	ranks, err := wire.ParseRanks(nil, body)
	if err != nil {
		return dst, err
	}
	dst = wire.AppendRecords(dst, 0)
	for _, rank := range ranks {
		walk(s.store, keyspace.Range{From: rank, To: rank + 1}, func(e storage.Entry) bool {
			dst = wire.AppendKeyed(dst, e.Key, &e.Record)
			return true
		})
	}
	return dst, nil
}

func (s *state) servePush(body []byte) error {
	_, records, err := wire.ParseRecords(nil, body)
	if err != nil {
		return err
	}
	for i := range records {
		r := &records[i]
		s.life.clock.Observe(r.Record.Tag.Counter)
		if _, err := s.store.Put(s.view.Epoch, s.topology.Seed.Hash(r.Key), r.Key, &r.Record); err != nil {
			return handoff.ErrMoved
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
	list := &handoff.List{ID: id, At: s.view.Epoch}
	for _, t := range tombstones {
		list.Tombstones = append(list.Tombstones, handoff.Tombstone(t))
	}
	return s.life.driver.Hold(list)
}
