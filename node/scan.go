package node

import (
	"context"

	"viakv/api/kv"
	"viakv/node/storage"
	"viakv/node/wire"
	"viakv/quorum"
	"viakv/quorum/replica"
	"viakv/ring/keyspace"
)

// Scan implements kv.Store.
func (n *Node) Scan(ctx context.Context, o kv.ScanOptions) (kv.Scanner, error) {
	return n.scans.Scan(ctx, o)
}

// scanCopies gives scans whole ranges: of the own store, and of other members over the bulk
// connection. A scan may outlive the epoch and the life in which it began: the store then refuses
// it, for good once it is closed.
type scanCopies struct{}

var _ quorum.Copies = scanCopies{}

// Own implements quorum.Copies.
func (scanCopies) Own(v *replica.View, at keyspace.Rank, b *quorum.Bucket) error {
	own, _ := b.Memory.(*storage.Bucket)
	if own == nil {
		own = new(storage.Bucket)
		b.Memory = own
	}
	err := v.Origin.(*state).store.Copy(v.Epoch, at, own)
	b.Range, b.Digest, b.Records = own.Range, own.Digest, b.Records[:0]
	return err
}

// Live implements quorum.Copies.
func (scanCopies) Live(_ *replica.View, b *quorum.Bucket, dst []kv.Pair) []kv.Pair {
	return b.Memory.(*storage.Bucket).AppendLive(dst)
}

// Unpack implements quorum.Copies.
func (scanCopies) Unpack(_ *replica.View, b *quorum.Bucket) {
	b.Records = b.Memory.(*storage.Bucket).AppendSorted(b.Records[:0])
}

// Digests implements quorum.Copies.
func (scanCopies) Digests(ctx context.Context, v *replica.View, member int, ranges []keyspace.Range, dst []replica.Digest) ([]replica.Digest, error) {
	s := v.Origin.(*state)
	body, err := s.askMember(ctx, member, wire.Digests, func(b []byte) []byte { return wire.AppendRanges(b, ranges) })
	if err != nil {
		return dst, err
	}
	return wire.ParseDigests(dst, body)
}

// Copy implements quorum.Copies.
func (scanCopies) Copy(ctx context.Context, v *replica.View, member int, r keyspace.Range, b *quorum.Bucket) error {
	s := v.Origin.(*state)
	b.Range, b.Records = r, b.Records[:0]
	at := keyspace.Place{Rank: r.From}
	for {
		body, err := s.askMember(ctx, member, wire.Copy, func(dst []byte) []byte {
			rest := keyspace.Range{From: at.Rank, To: r.To}
			return wire.AppendRangeRequest(dst, wire.RangeRequest{Range: rest, After: at.Key, Max: scanPage})
		})
		if err != nil {
			return err
		}
		before := len(b.Records)
		next, records, err := wire.ParseRecords(b.Records, body)
		if err != nil {
			return err
		}
		b.Records = records
		setRanks(b.Records[before:], s.topology.Seed)
		switch {
		case next.Ends(r):
			return nil
		case !next.Beyond(at, r):
			return wire.ErrMalformed
		}
		at = next
	}
}

// scanPage is how many bytes of another member's records a scan asks for at once.
const scanPage = 1 << 20

// askMember sends a bulk request to one of the state's members.
func (s *state) askMember(ctx context.Context, member int, op wire.Op, body func([]byte) []byte) ([]byte, error) {
	return handoffPeers{s.life}.ask(ctx, &s.view, &s.view.Members[member], op, body)
}
