package node

import (
	"context"
	"time"

	"viakv/api/kv"
	"viakv/node/peer"
	"viakv/node/storage"
	"viakv/quorum/replica"
	"viakv/quorum/scan"
	"viakv/quorum/version"
	"viakv/ring/keyspace"
)

// Current returns the view at which requests run. It is nil while this node serves no client.
func (n *Node) Current() *replica.View {
	if n.frozen.Load() {
		return nil
	}
	return n.present.Load().Current()
}

// Get implements kv.Store.
func (n *Node) Get(ctx context.Context, dst, key []byte, o kv.Options) ([]byte, version.Tag, error) {
	n.inflight.Add(1)
	defer n.inflight.Add(-1)
	return n.coordinator.Get(ctx, dst, key, o)
}

// GetMany implements kv.Store.
func (n *Node) GetMany(ctx context.Context, dst []byte, reads []kv.Read, o kv.Options) []byte {
	n.inflight.Add(1)
	defer n.inflight.Add(-1)
	return n.coordinator.GetMany(ctx, dst, reads, o)
}

// Has implements kv.Store.
func (n *Node) Has(ctx context.Context, key []byte, o kv.Options) (version.Tag, error) {
	n.inflight.Add(1)
	defer n.inflight.Add(-1)
	return n.coordinator.Has(ctx, key, o)
}

// Set implements kv.Store.
func (n *Node) Set(ctx context.Context, key, value []byte, o kv.Options) (version.Tag, error) {
	n.inflight.Add(1)
	defer n.inflight.Add(-1)
	return n.coordinator.Set(ctx, key, value, o)
}

// SetMany implements kv.Store.
func (n *Node) SetMany(ctx context.Context, writes []kv.Write, o kv.Options) {
	n.inflight.Add(1)
	defer n.inflight.Add(-1)
	n.coordinator.SetMany(ctx, writes, o)
}

// Remove implements kv.Store.
func (n *Node) Remove(ctx context.Context, key []byte, o kv.Options) error {
	n.inflight.Add(1)
	defer n.inflight.Add(-1)
	return n.coordinator.Remove(ctx, key, o)
}

// Clear implements kv.Store. A clear is a step of the topology. Clear returns once so many members
// have adopted the step that nothing older can be read any more (M8).
func (n *Node) Clear(ctx context.Context, o kv.Options) error {
	n.inflight.Add(1)
	defer n.inflight.Add(-1)
	if n.Current() == nil {
		if err := n.Ready(ctx); err != nil {
			return err
		}
		return errNotNow // the node has become ready in between, and nothing was cleared
	}
	deadline := o.Deadline
	if deadline.IsZero() {
		deadline = time.Now().Add(max(n.cfg.Timeout, minClearTime))
	}
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	_, err := n.present.Load().manager.Clear(ctx)
	return err
}

var errNotNow = &kv.Unavailable{Outcome: kv.None, Reason: "the node is changing its cluster, or stopping"}

// minClearTime is the least time that a clear without a deadline gets. A clear waits for the
// consensus group, which may be electing a leader.
const minClearTime = 10 * time.Second

// Scan implements kv.Store.
func (n *Node) Scan(ctx context.Context, o kv.ScanOptions) (kv.Scanner, error) {
	return n.scans.Scan(ctx, o)
}

// ownBuckets gives scans the ranges of this node's own store. A scan may outlive the epoch and the
// membership in which it began. The store then refuses it, and for good once the store is closed.
type ownBuckets struct{}

var _ scan.Buckets = ownBuckets{}

// Own implements scan.Buckets.
func (ownBuckets) Own(v *replica.View, at keyspace.Rank, b *scan.Bucket) error {
	own, _ := b.Memory.(*storage.Bucket)
	if own == nil {
		own = new(storage.Bucket)
		b.Memory = own
	}
	err := peer.Of(v).Store.Copy(v.Epoch, at, own)
	b.Range, b.Digest, b.Records = own.Range, own.Digest, b.Records[:0]
	return err
}

// Live implements scan.Buckets.
func (ownBuckets) Live(v *replica.View, b *scan.Bucket, dst []kv.Pair) (pairs []kv.Pair, confirmed bool) {
	return b.Memory.(*storage.Bucket).AppendLive(v, dst)
}

// Unpack implements scan.Buckets.
func (ownBuckets) Unpack(b *scan.Bucket) {
	b.Records = b.Memory.(*storage.Bucket).AppendSorted(b.Records[:0])
}
