package storage

import (
	"bytes"
	"cmp"
	"slices"

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

	seed   keyspace.Seed
	data   []byte // the blocks, one after the other
	ends   []int  // where each block ends
	sorted bool
	order  []ranked
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
	b.seed, b.data, b.ends, b.sorted = s.cfg.Seed, b.data[:0], b.ends[:0], false
	b.Range, b.Digest = keyspace.Range{}, replica.Digest{}
	p := &s.shards[at.Partition()]
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.epoch != epoch {
		return replica.ErrEpoch
	}
	from, r := p.table.at(at)
	b.Range, b.Digest = r, from.digest()
	for c := &from.chunk; c.cap != 0; c = &p.table.links[c.next-1] {
		b.data = append(b.data, p.table.bytes(c)...)
		b.ends = append(b.ends, len(b.data))
		if c.next == 0 {
			break
		}
	}
	return nil
}

// Len returns the number of entries.
func (b *Bucket) Len() int { return int(b.Digest.Records) }

// Records yields the entries. Their slices borrow the Bucket. They come in no particular order or,
// after Sort, ascending by rank and key.
func (b *Bucket) Records(yield func(replica.Entry) bool) {
	var e replica.Entry
	if b.sorted {
		for i := range b.order {
			o := &b.order[i]
			r, _ := packed.Block(b.data).Next(o.position)
			e.Rank = o.rank
			set(&e, r)
			if !yield(e) {
				return
			}
		}
		return
	}
	begin := 0
	for _, end := range b.ends {
		block := packed.Block(b.data[begin:end])
		for at := block.First(); at < len(block); {
			r, next := block.Next(at)
			e.Rank = b.seed.Hash(r.Key).Rank()
			set(&e, r)
			if !yield(e) {
				return
			}
			at = next
		}
		begin = end
	}
}

// Sort brings the entries into ascending order of rank and key.
func (b *Bucket) Sort() {
	b.order = b.order[:0]
	begin := 0
	for _, end := range b.ends {
		block := packed.Block(b.data[begin:end])
		for at := block.First(); at < len(block); {
			r, next := block.Next(at)
			b.order = append(b.order, ranked{b.seed.Hash(r.Key).Rank(), begin + at})
			at = next
		}
		begin = end
	}
	slices.SortFunc(b.order, func(x, y ranked) int {
		if c := cmp.Compare(x.rank, y.rank); c != 0 {
			return c
		}
		rx, _ := packed.Block(b.data).Next(x.position)
		ry, _ := packed.Block(b.data).Next(y.position)
		return bytes.Compare(rx.Key, ry.Key)
	})
	b.sorted = true
}

// set makes e the entry of a packed record, except for its rank.
func set(e *replica.Entry, r packed.Record) {
	e.Key, e.Record = r.Key, parse(r.Meta)
	if e.Record.Live() {
		e.Record.Value = r.Value
	}
}
