package handoff

import (
	"context"

	"viakv/quorum/replica"
	"viakv/ring/keyspace"
)

// CatchUp merges what a member holds and this node does not, at the view's epoch. It gives the
// member nothing. What the member held when CatchUp began is here once it has returned nil, or
// something newer is.
func (d *Driver) CatchUp(ctx context.Context, v *replica.View, m *replica.Member) error {
	s := &session{d: d, v: v, with: m, progress: newProgress("catching up")}
	return s.compare(ctx, keyspace.All())
}
