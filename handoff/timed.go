package handoff

import (
	"context"
	"time"

	"viakv/quorum/replica"
	"viakv/ring/keyspace"
)

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
