package handoff

import (
	"context"
	"errors"

	"viakv/quorum/replica"
	"viakv/quorum/version"
	"viakv/ring/keyspace"
)

// ErrStartOver reports that the topology does not accept a rebuild: its basis is gone (H3).
var ErrStartOver = errors.New("handoff: the copies are outdated")

// Peers carries bulk requests to other members of a view, stamped with its epoch. A peer that is
// behind is brought up to date first. Once a later view has taken this one's place, here or at the
// peer, the answer is replica.ErrEpoch. This node's clock observes the counter that comes with each
// reply. Methods block until the reply, a failure, or the end of ctx. They are safe for concurrent
// use. What they return belongs to the caller.
type Peers interface {
	// Digests appends the peer's digests of the ranges, at most MaxDigests.
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

// MaxDigests bounds the ranges of one comparison.
const MaxDigests = 1024

// MaxEntries bounds the entries of one fetch or push. So many fit a frame, even with the longest
// keys and values.
const MaxEntries = 512

// Topology takes proposals of steps. The methods block until the step is applied or refused.
type Topology interface {
	// Rebuilt reports that this node has merged what the basis asks for. It returns ErrStartOver
	// when the basis is gone.
	Rebuilt(ctx context.Context, at Basis) error
	// BarrierDone reports that this node has run the barrier of a size change.
	BarrierDone(ctx context.Context, change version.Epoch) error
	// Purge proposes to purge a list. The purge must be the step that follows the expected epoch.
	Purge(ctx context.Context, list uint64, expect version.Epoch) error
}
