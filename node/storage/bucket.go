package storage

import (
	"bytes"
	"cmp"
	"slices"

	"viakv/api/kv"
	"viakv/node/storage/packed"
	"viakv/quorum/replica"
	"viakv/quorum/version"
	"viakv/ring/keyspace"
)

// Bucket is the copy of one bucket. It is made to be used again and again: Copy keeps its memory.
// The zero value is ready for use.
type Bucket struct {
	Range  keyspace.Range // the bucket's ranks; the next bucket begins at Range.To
	Digest replica.Digest // of all entries

	seed  keyspace.Seed
	data  []byte   // the blocks, one after the other: whole, since aligned copies are faster
	ends  []int    // where each block ends
	order []ranked // of the records that were asked for last
}

// ranked is a record's rank and its position.
type ranked struct {
	rank     keyspace.Rank
	position int // of the record in data
}

// Copy copies the bucket that holds a rank into b. At another epoch it returns replica.ErrEpoch and
// leaves b without entries (S1).
//
// A walk begins with the first rank of its range and goes on at b.Range.To. It ends where
// b.Range.To is zero or reaches the range's end. It meets each key that is there throughout exactly
// once, if it skips entries below the rank that it asked for. Such entries occur in a first bucket
// that is wider than the range. They also occur in a bucket that was merged meanwhile; the walk has
// seen those before. The last bucket can be wider than the range, too.
func (s *Store) Copy(epoch version.Epoch, at keyspace.Rank, b *Bucket) error {
	return s.copy(epoch, at, b, false)
}

// copy is Copy. With tombstones it leaves out the entries of a bucket that has no tombstone, and
// goes over a partition that has none in one step.
func (s *Store) copy(epoch version.Epoch, at keyspace.Rank, b *Bucket, tombstones bool) error {
	b.seed, b.data, b.ends = s.space.seed, b.data[:0], b.ends[:0]
	b.Range, b.Digest = keyspace.Range{}, replica.Digest{}
	p := &s.shards[at.Partition()]
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.epoch != epoch {
		return replica.ErrEpoch
	}
	if tombstones && p.table.digest.Tombstones == 0 {
		b.Range = at.Partition().Bucket(0, 0)
		return nil
	}
	from, r := p.table.at(at)
	b.Range, b.Digest = r, from.digest()
	if tombstones && from.tombstones == 0 {
		return nil
	}
	for c := &from.chunk; c.cap != 0; c = &p.table.links[c.next-1] {
		b.data = append(b.data, p.table.bytes(c)...)
		b.ends = append(b.ends, len(b.data))
		if c.next == 0 {
			break
		}
	}
	return nil
}

// AppendLive appends the pairs of those entries that hold a value, ascending by rank and key. That
// is all that a scan delivers. The pairs borrow the bucket. It also reports whether the view
// confirms all entries of the bucket, its tombstones included.
func (b *Bucket) AppendLive(v *replica.View, dst []kv.Pair) (pairs []kv.Pair, confirmed bool) {
	confirmed = true
	b.sort(func(meta []byte) bool {
		removed := version.Removed(meta)
		if removed && confirmed {
			tombstone := parse(meta)
			confirmed = v.Confirmed(&tombstone)
		}
		return !removed
	})
	for i := range b.order {
		r := b.record(b.order[i].position)
		value := parse(r.Meta)
		confirmed = confirmed && v.Confirmed(&value)
		dst = append(dst, kv.Pair{Key: r.Key, Value: r.Value, Version: value.Tag})
	}
	return dst, confirmed
}

// AppendSorted appends the entries, ascending by rank and key. They borrow the bucket.
func (b *Bucket) AppendSorted(dst []replica.Entry) []replica.Entry {
	for e := range b.entries {
		dst = append(dst, e)
	}
	return dst
}

// entries yields the entries, ascending by rank and key. Their slices borrow the Bucket.
func (b *Bucket) entries(yield func(replica.Entry) bool) {
	b.sort(every)
	var e replica.Entry
	for i := range b.order {
		o := &b.order[i]
		r := b.record(o.position)
		e.Rank, e.Key, e.Record = o.rank, r.Key, parse(r.Meta)
		if e.Record.Live() {
			e.Record.Value = r.Value
		}
		if !yield(e) {
			return
		}
	}
}

// every chooses all records.
func every([]byte) bool { return true }

// sort fills order with the chosen records.
func (b *Bucket) sort(chosen func(meta []byte) bool) {
	b.order = b.order[:0]
	for at, r := range b.records {
		if chosen(r.Meta) {
			b.order = append(b.order, ranked{b.seed.Hash(r.Key).Rank(), at})
		}
	}
	slices.SortFunc(b.order, func(x, y ranked) int {
		if x.rank != y.rank {
			return cmp.Compare(x.rank, y.rank)
		}
		return bytes.Compare(b.record(x.position).Key, b.record(y.position).Key)
	})
}

// records yields the records as they lie, each with its position in data.
func (b *Bucket) records(yield func(int, packed.Record) bool) {
	begin := 0
	for _, end := range b.ends {
		block := packed.Block(b.data[begin:end])
		for at := block.First(); at < len(block); {
			r, next := block.Next(at)
			if !yield(begin+at, r) {
				return
			}
			at = next
		}
		begin = end
	}
}

// record returns the record at a position in data.
func (b *Bucket) record(at int) packed.Record {
	r, _ := packed.Block(b.data).Next(at)
	return r
}
