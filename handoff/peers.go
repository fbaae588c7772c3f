package handoff

import (
	"context"
	"time"

	"viakv/quorum/replica"
	"viakv/ring/keyspace"
)

// Peers carries bulk requests to other members of a view, stamped with its epoch. A peer that is
// behind is brought up to date first. Once a later view has taken this one's place, here or at the
// peer, the answer is replica.ErrEpoch. This node's counter observes the one that comes with each
// reply. Methods block until the reply, a failure, or the end of ctx. They are safe for concurrent
// use. What they return belongs to the caller.
type Peers interface {
	// Digests appends the peer's digests of the ranges, at most maxDigests.
	Digests(ctx context.Context, v *replica.View, to *replica.Member, ranges []keyspace.Range, dst []replica.Digest) ([]replica.Digest, error)
	// Tags appends the versions that the peer holds in the range, ascending, up to about max ranks.
	// next is the rank to go on at. It equals the range's To when nothing is left.
	Tags(ctx context.Context, v *replica.View, to *replica.Member, r keyspace.Range, max int, dst []replica.TagAt) (list []replica.TagAt, next keyspace.Rank, err error)
	// Copy fills p with the peer's first records of the range, about max bytes of them. When after
	// is not nil, the records begin behind that key at the range's first rank.
	Copy(ctx context.Context, v *replica.View, to *replica.Member, r keyspace.Range, after []byte, max int, p *replica.Page) error
	// Fetch fills p with the peer's records at the ranks, which ascend and are at most MaxEntries.
	// When after is not nil, it begins behind that key at the first rank. What does not fit is left
	// for the next Fetch, from p.Next on. p.Next is zero when nothing is left.
	Fetch(ctx context.Context, v *replica.View, to *replica.Member, ranks []keyspace.Rank, after []byte, p *replica.Page) error
	// Push makes the peer merge the entries, at most MaxEntries. The peer has merged them when Push
	// returns nil.
	Push(ctx context.Context, v *replica.View, to *replica.Member, entries []replica.Entry) error
	// Hold asks whether the peer holds exactly each tombstone of the list. If so, the peer keeps
	// the list until the epoch ends.
	Hold(ctx context.Context, v *replica.View, to *replica.Member, list *List) (bool, error)
	// Reachable reports whether the peer can be expected to answer now. It does not block.
	Reachable(v *replica.View, to *replica.Member) bool
}

// maxDigests bounds the ranges of one comparison.
const maxDigests = 1024

// MaxEntries bounds the entries of one fetch or push. So many fit a frame, even with the longest
// keys and values.
const MaxEntries = 512

// timed bounds the time of each request to a peer. A message may be lost, and the caller must not
// wait for ever.
type timed struct {
	Peers
	bound time.Duration
}

func (t timed) Digests(ctx context.Context, v *replica.View, to *replica.Member, ranges []keyspace.Range, dst []replica.Digest) ([]replica.Digest, error) {
	ctx, cancel := context.WithTimeout(ctx, t.bound)
	defer cancel()
	return t.Peers.Digests(ctx, v, to, ranges, dst)
}

func (t timed) Tags(ctx context.Context, v *replica.View, to *replica.Member, r keyspace.Range, max int, dst []replica.TagAt) ([]replica.TagAt, keyspace.Rank, error) {
	ctx, cancel := context.WithTimeout(ctx, t.bound)
	defer cancel()
	return t.Peers.Tags(ctx, v, to, r, max, dst)
}

func (t timed) Copy(ctx context.Context, v *replica.View, to *replica.Member, r keyspace.Range, after []byte, max int, p *replica.Page) error {
	ctx, cancel := context.WithTimeout(ctx, t.bound)
	defer cancel()
	return t.Peers.Copy(ctx, v, to, r, after, max, p)
}

func (t timed) Fetch(ctx context.Context, v *replica.View, to *replica.Member, ranks []keyspace.Rank, after []byte, p *replica.Page) error {
	ctx, cancel := context.WithTimeout(ctx, t.bound)
	defer cancel()
	return t.Peers.Fetch(ctx, v, to, ranks, after, p)
}

func (t timed) Push(ctx context.Context, v *replica.View, to *replica.Member, entries []replica.Entry) error {
	ctx, cancel := context.WithTimeout(ctx, t.bound)
	defer cancel()
	return t.Peers.Push(ctx, v, to, entries)
}

func (t timed) Hold(ctx context.Context, v *replica.View, to *replica.Member, list *List) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, t.bound)
	defer cancel()
	return t.Peers.Hold(ctx, v, to, list)
}
