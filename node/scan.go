package node

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"slices"

	"viakv/api/kv"
	"viakv/handoff"
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
func (scanCopies) Own(v *quorum.View, at keyspace.Rank, b *quorum.Bucket) error {
	own, _ := b.Memory.(*storage.Bucket)
	if own == nil {
		own = new(storage.Bucket)
		b.Memory = own
	}
	err := v.Origin.(*state).store.Copy(v.Epoch, at, own)
	b.Range, b.Digest, b.Records = own.Range, own.Digest, b.Records[:0]
	return epochOver(err)
}

// epochOver makes the store's error package quorum's.
func epochOver(err error) error {
	if err != nil {
		return replica.ErrEpoch
	}
	return nil
}

// Live implements quorum.Copies.
func (scanCopies) Live(_ *quorum.View, b *quorum.Bucket, dst []kv.Pair) []kv.Pair {
	var few [fewPairs]place
	order, first := few[:0], len(dst)
	for e := range b.Memory.(*storage.Bucket).Records {
		if e.Record.Live() {
			order = append(order, place{e.Rank, len(dst) - first})
			dst = append(dst, kv.Pair{Key: e.Key, Value: e.Record.Value, Version: e.Record.Tag})
		}
	}
	arrange(dst[first:], order)
	return dst
}

// place is where a pair belongs, and where it lies.
type place struct {
	rank keyspace.Rank
	at   int
}

// fewPairs is up to where insertion beats quicksort; a bucket has some dozens.
const fewPairs = 128

// arrange brings pairs into the order of rank and key. It uses order up.
func arrange(pairs []kv.Pair, order []place) {
	if len(order) <= fewPairs {
		for i := 1; i < len(order); i++ {
			o, k := order[i], i
			for ; k > 0 && order[k-1].rank >= o.rank && compare(pairs, order[k-1], o) > 0; k-- {
				order[k] = order[k-1]
			}
			order[k] = o
		}
	} else {
		slices.SortFunc(order, func(a, b place) int { return compare(pairs, a, b) })
	}
	// Each pair moves once, along the cycles of the permutation.
	for i := range order {
		if order[i].at == i {
			continue
		}
		held, to := pairs[i], i
		for {
			from := order[to].at
			order[to].at = to
			if from == i {
				pairs[to] = held
				break
			}
			pairs[to], to = pairs[from], from
		}
	}
}

func compare(pairs []kv.Pair, a, b place) int {
	if a.rank != b.rank {
		return cmp.Compare(a.rank, b.rank)
	}
	return bytes.Compare(pairs[a.at].Key, pairs[b.at].Key)
}

// Unpack implements quorum.Copies.
func (scanCopies) Unpack(_ *quorum.View, b *quorum.Bucket) {
	own := b.Memory.(*storage.Bucket)
	own.Sort()
	b.Records = b.Records[:0]
	for e := range own.Records {
		b.Records = append(b.Records, replica.Entry{Rank: e.Rank, Key: e.Key, Record: e.Record})
	}
}

// OwnDigests implements quorum.Copies.
func (scanCopies) OwnDigests(v *quorum.View, ranges []keyspace.Range, dst []replica.Digest) ([]replica.Digest, error) {
	store := v.Origin.(*state).store
	for _, r := range ranges {
		d, err := store.Digest(v.Epoch, r)
		if err != nil {
			return dst, replica.ErrEpoch
		}
		dst = append(dst, d)
	}
	return dst, nil
}

// Digests implements quorum.Copies.
func (scanCopies) Digests(ctx context.Context, v *quorum.View, member int, ranges []keyspace.Range, dst []replica.Digest) ([]replica.Digest, error) {
	s := v.Origin.(*state)
	body, err := s.askMember(ctx, member, wire.Digests, func(b []byte) []byte { return wire.AppendRanges(b, ranges) })
	if err != nil {
		return dst, err
	}
	return wire.ParseDigests(dst, body)
}

// Copy implements quorum.Copies.
func (scanCopies) Copy(ctx context.Context, v *quorum.View, member int, r keyspace.Range, b *quorum.Bucket) error {
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

// Authority implements quorum.Copies.
func (scanCopies) Authority(v *quorum.View) (uint64, [16]byte) {
	t := v.Origin.(*state).topology
	return uint64(t.Cluster), t.CursorKey
}

// askMember sends a bulk request to one of the state's members.
func (s *state) askMember(ctx context.Context, member int, op wire.Op, body func([]byte) []byte) ([]byte, error) {
	m := &s.view.Members[member]
	p := handoffPeers{s.life}
	reply, err := p.ask(ctx, s.view.Epoch, handoff.Member{Name: m.Name, Incarnation: m.Incarnation}, op, body)
	if errors.Is(err, replica.ErrEpoch) {
		err = replica.ErrEpoch
	}
	return reply, err
}
