package kvtest

import (
	"context"
	"sync/atomic"

	"viakv/api/kv"
	"viakv/quorum/version"
)

// Balanced returns a store that gives each request to the next node, as a load balancer does.
func Balanced(nodes ...kv.Store) kv.Store { return &balanced{nodes: nodes} }

type balanced struct {
	nodes []kv.Store
	last  atomic.Uint32
}

func (b *balanced) next() kv.Store { return b.nodes[int(b.last.Add(1))%len(b.nodes)] }

func (b *balanced) Get(ctx context.Context, dst, key []byte, o kv.Options) ([]byte, version.Tag, error) {
	return b.next().Get(ctx, dst, key, o)
}

func (b *balanced) GetMany(ctx context.Context, dst []byte, reads []kv.Read, o kv.Options) []byte {
	return b.next().GetMany(ctx, dst, reads, o)
}

func (b *balanced) Has(ctx context.Context, key []byte, o kv.Options) (version.Tag, error) {
	return b.next().Has(ctx, key, o)
}

func (b *balanced) Set(ctx context.Context, key, value []byte, o kv.Options) (version.Tag, error) {
	return b.next().Set(ctx, key, value, o)
}

func (b *balanced) SetMany(ctx context.Context, writes []kv.Write, o kv.Options) {
	b.next().SetMany(ctx, writes, o)
}

func (b *balanced) Remove(ctx context.Context, key []byte, o kv.Options) error {
	return b.next().Remove(ctx, key, o)
}

func (b *balanced) Clear(ctx context.Context, o kv.Options) error { return b.next().Clear(ctx, o) }

func (b *balanced) Scan(ctx context.Context, o kv.ScanOptions) (kv.Scanner, error) {
	return b.next().Scan(ctx, o)
}

func (b *balanced) Ready(ctx context.Context) error { return b.next().Ready(ctx) }
