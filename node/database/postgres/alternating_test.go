//go:build postgres

package postgres

import (
	"context"
	"sync/atomic"

	"viakv/api/kv"
	"viakv/quorum/version"
)

// alternating sends each request to the next node, as a balancer does.
type alternating struct {
	nodes []kv.Store
	n     atomic.Uint32
}

func (a *alternating) next() kv.Store { return a.nodes[int(a.n.Add(1))%len(a.nodes)] }

func (a *alternating) Get(ctx context.Context, dst, key []byte, o kv.Options) ([]byte, version.Tag, error) {
	return a.next().Get(ctx, dst, key, o)
}

func (a *alternating) Has(ctx context.Context, key []byte, o kv.Options) (version.Tag, error) {
	return a.next().Has(ctx, key, o)
}

func (a *alternating) Set(ctx context.Context, key, value []byte, o kv.Options) (version.Tag, error) {
	return a.next().Set(ctx, key, value, o)
}

func (a *alternating) Remove(ctx context.Context, key []byte, o kv.Options) error {
	return a.next().Remove(ctx, key, o)
}
func (a *alternating) Clear(ctx context.Context, o kv.Options) error { return a.next().Clear(ctx, o) }
func (a *alternating) Scan(ctx context.Context, o kv.ScanOptions) (kv.Scanner, error) {
	return a.next().Scan(ctx, o)
}
func (a *alternating) Ready(ctx context.Context) error { return a.next().Ready(ctx) }
