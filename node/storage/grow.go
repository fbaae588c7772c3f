package storage

import (
	"viakv/node/storage/packed"
	"viakv/quorum/replica"
	"viakv/ring/keyspace"
)

// grow splits the next bucket in turn, whichever bucket has grown. Over one round every bucket is
// split once, and an insert never does more than one split.
func (t *table) grow() {
	low, high := t.split, t.split+1<<t.level
	t.ensureHeader(high)
	from := *t.bucket(low)
	*t.bucket(low) = bucket{}
	bit := keyspace.Hash(1) << t.level
	if t.split++; t.split == 1<<t.level {
		t.level, t.split = t.level+1, 0
	}
	if from.cap == 0 {
		return
	}

	// The first pass adds up the sizes of both halves, so that both get blocks that fit.
	var halves [2]builder
	var moved replica.Digest
	var hashes [96]keyspace.Hash // a bucket has more only in freak cases; those are hashed twice
	n := 0
	t.each(&from, func(_ packed.Block, r packed.Record, _, _ int) {
		h := t.space.seed.Hash(r.Key)
		if n < len(hashes) {
			hashes[n] = h
		}
		n++
		half := &halves[0]
		if h&bit != 0 {
			half = &halves[1]
			have := parse(r.Meta)
			moved = moved.Add(t.space.key.of(h, have.Tag, have.Owner))
		}
		half.expect(r)
	})
	// The second pass copies the records.
	halves[0].begin(t, t.bucket(low))
	halves[1].begin(t, t.bucket(high))
	n = 0
	t.each(&from, func(block packed.Block, r packed.Record, begin, end int) {
		var h keyspace.Hash
		if n < len(hashes) {
			h = hashes[n]
		} else {
			h = t.space.seed.Hash(r.Key)
		}
		n++
		half := &halves[0]
		if h&bit != 0 {
			half = &halves[1]
		}
		half.add(fingerprint(h), block, begin, end)
	})
	t.bucket(low).setDigest(from.digest().Sub(moved))
	t.bucket(high).setDigest(moved)
	t.discard(&from)
}

// shrink undoes the last split when the table is less than half full.
func (t *table) shrink() {
	if t.used >= t.space.target*int64(t.count())/2 || t.count() == 1 {
		return
	}
	if t.split == 0 {
		t.level--
		t.split = 1 << t.level
	}
	t.split--
	low, high := t.split, t.split+1<<t.level
	halves := [2]bucket{*t.bucket(low), *t.bucket(high)}
	*t.bucket(low), *t.bucket(high) = bucket{}, bucket{}
	var whole builder
	for i := range halves {
		t.each(&halves[i], func(_ packed.Block, r packed.Record, _, _ int) { whole.expect(r) })
	}
	whole.begin(t, t.bucket(low))
	for i := range halves {
		t.each(&halves[i], func(block packed.Block, r packed.Record, begin, end int) {
			whole.add(fingerprint(t.space.seed.Hash(r.Key)), block, begin, end)
		})
	}
	t.bucket(low).setDigest(halves[0].digest().Add(halves[1].digest()))
	for i := range halves {
		t.discard(&halves[i])
	}
	t.trimHeaders()
}

// each calls f for every record of a bucket, with the record's block and its start and end there.
func (t *table) each(b *bucket, f func(block packed.Block, r packed.Record, begin, end int)) {
	for c := &b.chunk; c.cap != 0; c = &t.links[c.next-1] {
		block := t.bytes(c)
		for at := block.First(); at < len(block); {
			r, next := block.Next(at)
			f(block, r, at, next)
			at = next
		}
		if c.next == 0 {
			break
		}
	}
}

// builder fills an empty bucket with records whose number and bytes are known in advance.
type builder struct {
	table          *table
	bucket         *bucket
	block          packed.Block
	records, bytes int // of the records yet to come
}

func (b *builder) expect(r packed.Record) {
	b.records++
	b.bytes += packed.RecordBytes(len(r.Key), len(r.Meta), len(r.Value))
}

func (b *builder) begin(t *table, to *bucket) {
	b.table, b.bucket = t, to
	if b.records > 0 {
		b.block = t.allocate(&to.chunk, min(packed.Bytes(b.records, b.bytes), packed.MaxBytes))
	}
}

func (b *builder) add(fingerprint byte, from packed.Block, begin, end int) {
	if b.block.Grown(end-begin) > packed.MaxBytes {
		b.table.push(b.bucket)
		b.block = b.table.allocate(&b.bucket.chunk, min(packed.Bytes(b.records, b.bytes), packed.MaxBytes))
	}
	b.block = b.block.AppendFrom(fingerprint, from, begin, end)
	b.table.used += int64(len(b.block)) - int64(b.bucket.used)
	b.bucket.used = uint16(len(b.block))
	b.records--
	b.bytes -= end - begin
}
