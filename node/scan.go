package node

import (
	"context"

	"viakv/api/kv"
	"viakv/node/peer"
	"viakv/node/storage"
	"viakv/quorum/replica"
	"viakv/quorum/scan"
	"viakv/ring/keyspace"
)

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
func (ownBuckets) Live(b *scan.Bucket, dst []kv.Pair) []kv.Pair {
	return b.Memory.(*storage.Bucket).AppendLive(dst)
}

// Unpack implements scan.Buckets.
func (ownBuckets) Unpack(b *scan.Bucket) {
	b.Records = b.Memory.(*storage.Bucket).AppendSorted(b.Records[:0])
}
