package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"viakv/handoff"
	"viakv/node/transport"
	"viakv/node/wire"
	"viakv/quorum"
	"viakv/quorum/replica"
	"viakv/quorum/version"
	"viakv/ring/keyspace"
)

// bulkPeers carries the bulk requests of hand-off and of scans.
type bulkPeers struct{}

var (
	_ handoff.Peers     = bulkPeers{}
	_ quorum.RangePeers = bulkPeers{}
)

// ask sends a bulk request to a member of a view, and returns the reply's body. A member that is
// behind is brought up to date first.
func (bulkPeers) ask(ctx context.Context, v *replica.View, to *replica.Member, op wire.Op, body func([]byte) []byte) ([]byte, error) {
	if v.Over() {
		return nil, replica.ErrEpoch
	}
	s, at := v.Origin.(*state), v.Epoch
	k := s.linkTo(to.Holder())
	if k == nil {
		return nil, fmt.Errorf("node: %s is no member at epoch %d", to.Name, at)
	}
	stamp := wire.Stamp{Cluster: uint64(s.topology.Cluster), Epoch: at, To: to.Holder(), From: s.self}
	request := body(wire.AppendRequest(nil, op, stamp))
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	for try := 0; ; try++ {
		reply, err := transport.Ask(ctx, s.life.node.transport, k.address, transport.Bulk, request)
		if err != nil {
			return nil, err
		}
		r, err := wire.ParseReply(reply)
		if err != nil {
			return nil, fmt.Errorf("node: a reply of %s: %w", to.Name, err)
		}
		s.life.clock.Observe(r.Counter)
		switch r.Status {
		case wire.OK, wire.Nack:
			if r.Epoch != at {
				return nil, replica.ErrEpoch
			}
			if r.Status == wire.Nack {
				return nil, errNack
			}
			return r.Body, nil
		case wire.Behind:
			if try == maxTries {
				return nil, replica.ErrEpoch
			}
			if err := s.life.manager.HandTo(ctx, k.address); err != nil {
				return nil, err
			}
		case wire.Stale:
			s.life.learn(r.Epoch, r.Body)
			return nil, replica.ErrEpoch
		default:
			return nil, fmt.Errorf("node: %s refused to %v: %v", to.Name, op, r.Status)
		}
	}
}

// askTime bounds one bulk request: a page is about a megabyte, and what takes longer is better
// asked of somebody else.
const askTime = 3 * time.Second

var errNack = errors.New("node: refused")

// linkTo returns the link to the member that has an incarnation, active or pending.
func (s *state) linkTo(i version.Incarnation) *link {
	for m := range s.view.Members {
		if member := &s.view.Members[m]; i != 0 && (member.Incarnation == i || member.Pending == i) {
			return s.links[m]
		}
	}
	return nil
}

func (p bulkPeers) Digests(ctx context.Context, v *replica.View, to *replica.Member, ranges []keyspace.Range, dst []replica.Digest) ([]replica.Digest, error) {
	body, err := p.ask(ctx, v, to, wire.Digests, func(b []byte) []byte { return wire.AppendRanges(b, ranges) })
	if err != nil {
		return dst, err
	}
	return wire.ParseDigests(dst, body)
}

func (p bulkPeers) Tags(ctx context.Context, v *replica.View, to *replica.Member, r keyspace.Range, max int, dst []replica.TagAt) ([]replica.TagAt, keyspace.Rank, error) {
	body, err := p.ask(ctx, v, to, wire.Tags, func(b []byte) []byte {
		return wire.AppendRangeRequest(b, wire.RangeRequest{Range: r, Max: uint64(max)})
	})
	if err != nil {
		return dst, 0, err
	}
	next, dst, err := wire.ParseTags(dst, body)
	return dst, next, err
}

func (p bulkPeers) Copy(ctx context.Context, v *replica.View, to *replica.Member, r keyspace.Range, after []byte, max int, page *replica.Page) error {
	return p.records(ctx, v, to, wire.Copy, page, func(b []byte) []byte {
		return wire.AppendRangeRequest(b, wire.RangeRequest{Range: r, After: after, Max: uint64(max)})
	})
}

func (p bulkPeers) Fetch(ctx context.Context, v *replica.View, to *replica.Member, ranks []keyspace.Rank, after []byte, page *replica.Page) error {
	return p.records(ctx, v, to, wire.Fetch, page, func(b []byte) []byte { return wire.AppendRanks(b, ranks, after) })
}

// records fills a page with the records of a reply, whose memory the page takes over.
func (p bulkPeers) records(ctx context.Context, v *replica.View, to *replica.Member, op wire.Op, page *replica.Page, body func([]byte) []byte) error {
	reply, err := p.ask(ctx, v, to, op, body)
	if err != nil {
		return err
	}
	page.Reset()
	page.Next, page.Entries, err = wire.ParseRecords(page.Entries, reply)
	setRanks(page.Entries, v.Seed)
	return err
}

// setRanks fills in the ranks of entries that have travelled.
func setRanks(entries []replica.Entry, seed keyspace.Seed) {
	for i := range entries {
		entries[i].Rank = seed.Hash(entries[i].Key).Rank()
	}
}

func (p bulkPeers) Push(ctx context.Context, v *replica.View, to *replica.Member, entries []replica.Entry) error {
	_, err := p.ask(ctx, v, to, wire.Push, func(b []byte) []byte {
		for i := range entries {
			b = wire.AppendEntry(b, entries[i].Key, &entries[i].Record)
		}
		return wire.AppendNext(b, keyspace.Place{})
	})
	return err
}

func (p bulkPeers) Hold(ctx context.Context, v *replica.View, to *replica.Member, list *handoff.List) (bool, error) {
	_, err := p.ask(ctx, v, to, wire.Purge, func(b []byte) []byte { return wire.AppendList(b, list.ID, list.Tombstones) })
	if errors.Is(err, errNack) {
		return false, nil
	}
	return err == nil, err
}

func (bulkPeers) Reachable(v *replica.View, to *replica.Member) bool {
	s := v.Origin.(*state)
	k := s.linkTo(to.Holder())
	return k != nil && k.likely() && s.life.node.transport.Health(k.address).Connected
}
