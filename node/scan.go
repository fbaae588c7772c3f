package node

import (
	"context"
	"encoding/binary"
	"errors"

	"viakv/api/kv"
	"viakv/handoff"
	"viakv/node/storage"
	"viakv/node/wire"
	"viakv/quorum"
	"viakv/ring/keyspace"
)

// Scan implements kv.Store.
func (n *Node) Scan(ctx context.Context, o kv.ScanOptions) (kv.Scanner, error) {
	return n.scans.Scan(ctx, o)
}

// scanCopies gives scans whole ranges: of the own store, and of other members over the bulk connection.
type scanCopies struct{ node *Node }

var _ quorum.Copies = scanCopies{}

// stamped runs a read of the own store, which must not outlive the view's epoch.
func stamped(v *quorum.View, read func(s *state)) error {
	s := v.Origin.(*state)
	h := handoffStore{s.life}
	if _, err := h.at(v.Epoch); err != nil {
		return quorum.ErrEpochOver
	}
	read(s)
	if h.still(v.Epoch) != nil {
		return quorum.ErrEpochOver
	}
	return nil
}

// Own implements quorum.Copies.
func (scanCopies) Own(v *quorum.View, at keyspace.Rank, b *quorum.Bucket) error {
	return stamped(v, func(s *state) {
		own, _ := b.Memory.(*storage.Bucket)
		if own == nil {
			own = new(storage.Bucket)
			b.Memory = own
		}
		s.store.Copy(at, own)
		own.Sort()
		b.Range, b.Digest, b.Records = own.Range, scanDigest(encodeDigest(own.Digest)), b.Records[:0]
		for e := range own.Records {
			b.Records = append(b.Records, quorum.Ranked{Rank: e.Rank, Key: e.Key, Record: e.Record})
		}
	})
}

// OwnDigests implements quorum.Copies.
func (scanCopies) OwnDigests(v *quorum.View, ranges []keyspace.Range, dst []quorum.Digest) ([]quorum.Digest, error) {
	err := stamped(v, func(s *state) {
		for _, r := range ranges {
			dst = append(dst, scanDigest(encodeDigest(s.store.Digest(r))))
		}
	})
	return dst, err
}

// Digests implements quorum.Copies.
func (scanCopies) Digests(ctx context.Context, v *quorum.View, member int, ranges []keyspace.Range, dst []quorum.Digest) ([]quorum.Digest, error) {
	s := v.Origin.(*state)
	body, err := s.askMember(ctx, member, wire.Digests, func(b []byte) []byte { return wire.AppendRanges(b, ranges) })
	if err != nil {
		return dst, err
	}
	digests, err := wire.ParseDigests(nil, body)
	for _, d := range digests {
		dst = append(dst, scanDigest(d))
	}
	return dst, err
}

// Copy implements quorum.Copies.
func (scanCopies) Copy(ctx context.Context, v *quorum.View, member int, r keyspace.Range, b *quorum.Bucket) error {
	s := v.Origin.(*state)
	b.Range, b.Records = r, b.Records[:0]
	for {
		body, err := s.askMember(ctx, member, wire.Copy, func(dst []byte) []byte {
			return wire.AppendRangeRequest(dst, wire.RangeRequest{Range: r, Max: copyLimit})
		})
		if err != nil {
			return err
		}
		next, records, err := wire.ParseRecords(nil, body)
		if err != nil {
			return err
		}
		for _, k := range records {
			b.Records = append(b.Records, quorum.Ranked{Rank: s.topology.Seed.Hash(k.Key).Rank(), Key: k.Key, Record: k.Record})
		}
		if next == r.To {
			return nil
		}
		r.From = next
	}
}

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
	if errors.Is(err, handoff.ErrMoved) {
		err = quorum.ErrEpochOver
	}
	return reply, err
}

func scanDigest(b [32]byte) (d quorum.Digest) {
	for i := range d {
		d[i] = binary.LittleEndian.Uint64(b[8*i:])
	}
	return d
}
