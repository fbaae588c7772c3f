package storage

import (
	"bytes"
	"math/bits"

	"viakv/node/storage/extent"
	"viakv/node/storage/packed"
	"viakv/quorum/replica"
	"viakv/quorum/version"
	"viakv/ring/keyspace"
)

// table is a hash table that grows by linear hashing (Litwin 1980). It has 2^level+split buckets.
// The buckets below split have been split already; their counterparts begin at 2^level. One more
// bit of the hash tells the two apart.
//
// A table splits a bucket when more than target bytes per bucket are in use, and merges two below
// half of that. The criterion counts bytes, so the sizes of blocks do not depend on the sizes of
// values.
type table struct {
	space *space

	level  uint
	split  uint64
	digest replica.Digest
	used   int64 // bytes of blocks that records and directories fill
	blocks int64 // bytes of blocks, with what is free in them
	data   int64 // bytes of keys, metadata and values

	tidyNext uint64 // the bucket that tidy looks at next

	segments [][]bucket // segmentBuckets each; only the first can be shorter
	links    []chunk    // the blocks of chains, except the first of each chain (S6)
	spare    uint32     // the first unused link plus one; the next fields lead to the other unused links
}

// bucket is the header of one bucket. The type holds no pointers, so the collector does not look at
// it.
type bucket struct {
	chunk
	records, tombstones uint32
	sum                 [2]uint64
}

// chunk is one block of a bucket.
type chunk struct {
	block     extent.Ref
	used, cap uint16 // cap 0: no block
	next      uint32 // the next block of the chain: its index in links plus one, or zero
}

const (
	segmentBits    = 5 // 32 headers, 1280 bytes: a size that the Go heap does not round up
	segmentBuckets = 1 << segmentBits
	bucketBytes    = 40
	linkBytes      = 16
)

func newTable(s *space) table {
	t := table{space: s}
	t.ensureHeader(0)
	return t
}

// count returns the number of buckets.
func (t *table) count() uint64 { return 1<<t.level + t.split }

func (t *table) bucket(i uint64) *bucket {
	return &t.segments[i>>segmentBits][i&(segmentBuckets-1)]
}

// index returns the number of the bucket that a hash belongs to.
func (t *table) index(h keyspace.Hash) uint64 {
	i := uint64(h) & (1<<t.level - 1)
	if i < t.split {
		i = uint64(h) & (1<<(t.level+1) - 1)
	}
	return i
}

// at returns the bucket that a rank belongs to, and the bucket's interval.
func (t *table) at(rank keyspace.Rank) (*bucket, keyspace.Range) {
	level := t.level
	i := rank.Index(level)
	if i < t.split {
		level++
		i = rank.Index(level)
	}
	return t.bucket(i), rank.Partition().Bucket(level, i)
}

// fingerprint returns a byte of the hash on which neither the partition (bits 52 to 63) nor the
// bucket (from bit 0 up) depends.
func fingerprint(h keyspace.Hash) byte { return byte(h >> 40) }

// place is where a record is.
type place struct {
	bucket *bucket
	chunk  *chunk
	block  packed.Block
	slot   int // -1: there is no record
}

// record decodes the metadata. The vector borrows the block.
func (p *place) record() version.Record { return parse(p.block.At(p.slot).Meta) }

func (t *table) find(h keyspace.Hash, key []byte) place {
	b := t.bucket(t.index(h))
	for c := &b.chunk; c.cap != 0; c = &t.links[c.next-1] {
		block := t.bytes(c)
		if slot := block.Find(fingerprint(h), key); slot >= 0 {
			return place{b, c, block, slot}
		}
		if c.next == 0 {
			break
		}
	}
	return place{bucket: b, slot: -1}
}

func (t *table) bytes(c *chunk) packed.Block {
	return t.space.pool.Bytes(c.block, int(c.used), int(c.cap))
}

// insert adds a record under a key that the table does not hold.
func (t *table) insert(h keyspace.Hash, key, meta []byte, rec *version.Record) {
	b := t.bucket(t.index(h))
	value := valueOf(rec)
	c, block := t.room(b, packed.RecordBytes(len(key), len(meta), len(value)))
	t.resized(c, block.Append(fingerprint(h), key, meta, value))
	t.data += int64(len(key) + len(meta) + len(value))
	t.account(b, t.space.key.of(h, rec.Tag, rec.Owner), replica.Digest{})
	if t.used > t.space.target*int64(t.count()) {
		t.grow()
	}
}

// replace puts a record in the place of the one that is there.
func (t *table) replace(h keyspace.Hash, at place, have *version.Record, meta []byte, rec *version.Record) {
	before := t.space.key.of(h, have.Tag, have.Owner) // first of all: have borrows the block
	old := at.block.At(at.slot)
	value := valueOf(rec)
	t.data += int64(len(meta) + len(value) - len(old.Meta) - len(old.Value))
	t.account(at.bucket, t.space.key.of(h, rec.Tag, rec.Owner), before)
	was, length := len(at.block), at.block.Replaced(at.slot, len(meta), len(value))
	if length > packed.MaxBytes {
		key := bytes.Clone(old.Key) // a copy, as rare as chains are
		t.drop(at)
		c, block := t.room(at.bucket, packed.RecordBytes(len(key), len(meta), len(value)))
		t.resized(c, block.Append(fingerprint(h), key, meta, value))
	} else {
		if length > int(at.chunk.cap) {
			at.block = t.move(at.chunk, length)
		}
		t.resized(at.chunk, at.block.Replace(at.slot, meta, value))
	}
	if length != was {
		t.tidy()
	}
	if t.used > t.space.target*int64(t.count()) {
		t.grow()
	} else {
		t.shrink()
	}
}

// remove takes a record out.
func (t *table) remove(h keyspace.Hash, at place, have *version.Record) {
	t.account(at.bucket, replica.Digest{}, t.space.key.of(h, have.Tag, have.Owner))
	r := at.block.At(at.slot)
	t.data -= int64(len(r.Key) + len(r.Meta) + len(r.Value))
	t.drop(at)
	t.tidy()
	t.shrink()
}

// valueOf returns what is stored as a record's value. A tombstone has none.
func valueOf(rec *version.Record) []byte {
	if rec.Tag.Removed {
		return nil
	}
	return rec.Value
}

// account replaces one record's digest in the sums of its bucket and of the table (S4).
func (t *table) account(b *bucket, now, was replica.Digest) {
	t.digest = t.digest.Add(now).Sub(was)
	b.setDigest(b.digest().Add(now).Sub(was))
}

func (b *bucket) digest() replica.Digest {
	return replica.Digest{Records: uint64(b.records), Tombstones: uint64(b.tombstones), Sum: b.sum}
}

func (b *bucket) setDigest(d replica.Digest) {
	b.records, b.tombstones, b.sum = uint32(d.Records), uint32(d.Tombstones), d.Sum
}

// ensureHeader makes sure that bucket i has a header.
func (t *table) ensureHeader(i uint64) {
	n := int(i >> segmentBits)
	if n == len(t.segments) {
		size := segmentBuckets
		if n == 0 {
			size = 1
		}
		t.segments = append(t.segments, make([]bucket, size))
		t.space.headerBytes.Add(int64(size) * bucketBytes)
		return
	}
	if s := t.segments[n]; int(i&(segmentBuckets-1)) >= len(s) { // the first segment, while it is short
		longer := make([]bucket, 1<<bits.Len64(i))
		copy(longer, s)
		t.segments[n] = longer
		t.space.headerBytes.Add(int64(len(longer)-len(s)) * bucketBytes)
	}
}

// trimHeaders gives back the segments of headers that are not needed, neither now nor for the next
// half a segment of growth.
func (t *table) trimHeaders() {
	for n := len(t.segments); n > 1 && t.count() <= uint64(n-2)<<segmentBits+segmentBuckets/2; n-- {
		t.segments[n-1] = nil
		t.segments = t.segments[:n-1]
		t.space.headerBytes.Add(-segmentBuckets * bucketBytes)
	}
}

// free gives all memory back. The table is not used again.
func (t *table) free() {
	for _, s := range t.segments {
		for i := range s {
			t.discard(&s[i])
		}
		t.space.headerBytes.Add(-int64(len(s)) * bucketBytes)
	}
	t.space.headerBytes.Add(-int64(cap(t.links)) * linkBytes)
	t.segments, t.links = nil, nil
}
