package node

import (
	"context"
	"sync/atomic"
	"testing"

	"viakv/api/kv"
	"viakv/api/kv/kvtest"
	"viakv/quorum/version"
)

// The mesh fulfils the same contract as the databases. The test asks three nodes over real TCP in
// turn.
func TestConformance(t *testing.T) {
	kvtest.Run(t, func(t *testing.T) kv.Store { return &round{nodes: newTCPMesh(t, 3).nodes} })
}

// round asks one node after the other, as a load balancer does.
type round struct {
	nodes []*Node
	next  atomic.Uint32
}

func (r *round) one() *Node { return r.nodes[int(r.next.Add(1))%len(r.nodes)] }

func (r *round) Get(ctx context.Context, dst, key []byte, o kv.Options) ([]byte, version.Tag, error) {
	return r.one().Get(ctx, dst, key, o)
}

func (r *round) Has(ctx context.Context, key []byte, o kv.Options) (version.Tag, error) {
	return r.one().Has(ctx, key, o)
}

func (r *round) Set(ctx context.Context, key, value []byte, o kv.Options) (version.Tag, error) {
	return r.one().Set(ctx, key, value, o)
}

func (r *round) Remove(ctx context.Context, key []byte, o kv.Options) error {
	return r.one().Remove(ctx, key, o)
}

func (r *round) Clear(ctx context.Context, o kv.Options) error { return r.one().Clear(ctx, o) }

func (r *round) Scan(ctx context.Context, o kv.ScanOptions) (kv.Scanner, error) {
	return r.one().Scan(ctx, o)
}

func (r *round) Ready(ctx context.Context) error { return r.one().Ready(ctx) }
