package peer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"viakv/handoff"
	"viakv/node/transport"
	"viakv/node/wire"
	"viakv/quorum/replica"
	"viakv/quorum/version"
	"viakv/ring/keyspace"
)

// bulk sends a bulk request to a member, and returns the reply's body. A member that is behind is
// brought up to date first.
func (e *Epoch) bulk(ctx context.Context, to *replica.Member, op wire.Op, body func([]byte) []byte) ([]byte, error) {
	if e.View.Over() {
		return nil, replica.ErrEpoch
	}
	at := e.View.Epoch
	k := e.linkTo(to.Holder())
	if k == nil {
		return nil, fmt.Errorf("peer: %s is no member at epoch %d", to.Name, at)
	}
	request := body(wire.AppendRequest(nil, op, e.stamp(to.Holder())))
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	// Repeat the request as long as the peer is behind and can be brought up to date.
	for try := 0; ; try++ {
		reply, err := transport.Ask(ctx, e.membership.cfg.Transport, k.address, transport.Bulk, request)
		if err != nil {
			return nil, err
		}
		r, err := wire.ParseReply(reply)
		if err != nil {
			return nil, fmt.Errorf("peer: a reply of %s: %w", to.Name, err)
		}
		e.membership.hear(to.Holder(), &r)
		// Only an answer that was given at the view's own epoch counts.
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
			if err := e.membership.cfg.Host.UpdatePeer(ctx, k.address); err != nil {
				return nil, err
			}
		case wire.Stale:
			e.membership.learn(r.Epoch, r.Body)
			return nil, replica.ErrEpoch
		default:
			return nil, fmt.Errorf("peer: %s refused to %v: %v", to.Name, op, r.Status)
		}
	}
}

// askTime bounds one bulk request. A page is about a megabyte; what takes longer is better asked of
// another member.
const askTime = 3 * time.Second

var errNack = errors.New("peer: refused")

// linkTo returns the link to the member with an incarnation, active or pending; nil: there is none.
func (e *Epoch) linkTo(i version.Incarnation) *link {
	for m := range e.View.Members {
		if member := &e.View.Members[m]; i != 0 && (member.Incarnation == i || member.Pending == i) {
			return e.links[m]
		}
	}
	return nil
}

// Digests implements handoff.Peers and scan.Peers.
func (Client) Digests(ctx context.Context, v *replica.View, to *replica.Member, ranges []keyspace.Range, dst []replica.Digest) ([]replica.Digest, error) {
	body, err := Of(v).bulk(ctx, to, wire.Digests, func(b []byte) []byte { return wire.AppendRanges(b, ranges) })
	if err != nil {
		return dst, err
	}
	return wire.ParseDigests(dst, body)
}

// Tags implements handoff.Peers.
func (Client) Tags(ctx context.Context, v *replica.View, to *replica.Member, r keyspace.Range, max int, dst []replica.TagAt) ([]replica.TagAt, keyspace.Rank, error) {
	body, err := Of(v).bulk(ctx, to, wire.Tags, func(b []byte) []byte {
		return wire.AppendRangeRequest(b, wire.RangeRequest{Range: r, Max: uint64(max)})
	})
	if err != nil {
		return dst, 0, err
	}
	next, dst, err := wire.ParseTags(dst, body)
	return dst, next, err
}

// Copy implements handoff.Peers and scan.Peers.
func (Client) Copy(ctx context.Context, v *replica.View, to *replica.Member, r keyspace.Range, after []byte, max int, page *replica.Page) error {
	return Of(v).records(ctx, to, wire.Copy, page, func(b []byte) []byte {
		return wire.AppendRangeRequest(b, wire.RangeRequest{Range: r, After: after, Max: uint64(max)})
	})
}

// Fetch implements handoff.Peers.
func (Client) Fetch(ctx context.Context, v *replica.View, to *replica.Member, ranks []keyspace.Rank, after []byte, page *replica.Page) error {
	return Of(v).records(ctx, to, wire.Fetch, page, func(b []byte) []byte { return wire.AppendRanks(b, ranks, after) })
}

// records fills a page with the records of a reply. The page takes over the reply's memory.
func (e *Epoch) records(ctx context.Context, to *replica.Member, op wire.Op, page *replica.Page, body func([]byte) []byte) error {
	reply, err := e.bulk(ctx, to, op, body)
	if err != nil {
		return err
	}
	page.Reset()
	page.Next, page.Entries, err = wire.ParseRecords(page.Entries, reply)
	setRanks(page.Entries, e.View.Seed)
	return err
}

// setRanks fills in the ranks of entries that have travelled without them.
func setRanks(entries []replica.Entry, seed keyspace.Seed) {
	for i := range entries {
		entries[i].Rank = seed.Hash(entries[i].Key).Rank()
	}
}

// Push implements handoff.Peers.
func (Client) Push(ctx context.Context, v *replica.View, to *replica.Member, entries []replica.Entry) error {
	_, err := Of(v).bulk(ctx, to, wire.Push, func(b []byte) []byte {
		for i := range entries {
			b = wire.AppendEntry(b, entries[i].Key, &entries[i].Record)
		}
		return wire.AppendNext(b, keyspace.Place{})
	})
	return err
}

// Hold implements handoff.Peers.
func (Client) Hold(ctx context.Context, v *replica.View, to *replica.Member, list *handoff.List) (bool, error) {
	_, err := Of(v).bulk(ctx, to, wire.Purge, func(b []byte) []byte { return wire.AppendList(b, list.ID, list.Tombstones) })
	if errors.Is(err, errNack) {
		return false, nil
	}
	return err == nil, err
}

// Reachable implements handoff.Peers.
func (Client) Reachable(v *replica.View, to *replica.Member) bool {
	e := Of(v)
	k := e.linkTo(to.Holder())
	return k != nil && k.likely() && k.there(to) && e.membership.cfg.Transport.Health(k.address).Connected
}
