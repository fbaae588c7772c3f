package wire

import (
	"encoding/binary"

	"viakv/api/kv"
	"viakv/quorum/replica"
	"viakv/quorum/version"
	"viakv/ring/keyspace"
)

// Limits of one bulk message.
const (
	MaxRanges  = 4096
	MaxRanks   = 4096
	MaxTags    = 1 << 16
	MaxRecords = 1 << 16
	maxList    = 1 << 17 // tombstones of one purge
)

// AppendRanges appends the body of a Digests request.
func AppendRanges(dst []byte, ranges []keyspace.Range) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(ranges)))
	for _, r := range ranges {
		dst = appendRange(dst, r)
	}
	return dst
}

func appendRange(dst []byte, r keyspace.Range) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, uint64(r.From))
	return binary.LittleEndian.AppendUint64(dst, uint64(r.To))
}

func (d *decoder) keyRange() keyspace.Range {
	r := keyspace.Range{From: keyspace.Rank(d.uint64()), To: keyspace.Rank(d.uint64())}
	if r.To != 0 && r.From > r.To {
		d.bad = true
	}
	return r
}

// ParseRanges decodes the body of a Digests request, appending to dst.
func ParseRanges(dst []keyspace.Range, b []byte) ([]keyspace.Range, error) {
	d := decoder{b: b}
	for range d.count(MaxRanges, 16) {
		dst = append(dst, d.keyRange())
	}
	return dst, d.end()
}

// AppendDigests appends the body of the answer to a Digests request.
func AppendDigests(dst []byte, digests []replica.Digest) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(digests)))
	for i := range digests {
		dst = digests[i].Append(dst)
	}
	return dst
}

// ParseDigests decodes the body of the answer to a Digests request, appending to dst.
func ParseDigests(dst []replica.Digest, b []byte) ([]replica.Digest, error) {
	d := decoder{b: b}
	for range d.count(MaxRanges, replica.DigestBytes) {
		dst = append(dst, d.digest())
	}
	return dst, d.end()
}

func (d *decoder) digest() replica.Digest {
	if len(d.b) < replica.DigestBytes {
		d.bad, d.b = true, nil
		return replica.Digest{}
	}
	digest := replica.ParseDigest([replica.DigestBytes]byte(d.b))
	d.b = d.b[replica.DigestBytes:]
	return digest
}

// RangeRequest is the body of Tags and Copy: a range, and how much of it one answer may hold.
type RangeRequest struct {
	Range keyspace.Range
	// After leaves out the keys up to and including it at the range's first rank. Empty: no key is
	// left out.
	After []byte
	Max   uint64 // the most tags (Tags) or bytes (Copy) in one answer
}

// AppendRangeRequest appends the body of Tags or Copy.
func AppendRangeRequest(dst []byte, r RangeRequest) []byte {
	return binary.AppendUvarint(appendBytes(appendRange(dst, r.Range), r.After), r.Max)
}

// ParseRangeRequest decodes the body of Tags or Copy.
func ParseRangeRequest(b []byte) (r RangeRequest, err error) {
	d := decoder{b: b}
	r.Range = d.keyRange()
	r.After = d.after()
	r.Max = d.uvarint()
	return r, d.end()
}

// after reads the key that a place lies behind. It returns nil when there is no such key.
func (d *decoder) after() []byte {
	if k := d.bytes(kv.MaxKeyBytes); len(k) > 0 {
		return k
	}
	return nil
}

// AppendTags appends the body of the answer to Tags: the rank at which the range goes on, and one
// entry for each rank, ascending. An entry is the step from the rank before, and metadata. The
// metadata is empty where several keys share the rank.
func AppendTags(dst []byte, next keyspace.Rank, tags []replica.TagAt) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, uint64(next))
	dst = binary.AppendUvarint(dst, uint64(len(tags)))
	last := keyspace.Rank(0)
	for i := range tags {
		dst = binary.AppendUvarint(dst, uint64(tags[i].Rank-last))
		if tags[i].Shared {
			dst = appendBytes(dst, nil)
		} else {
			dst = appendTag(dst, tags[i].Tag, tags[i].Owner)
		}
		last = tags[i].Rank
	}
	return dst
}

// ParseTags decodes the body of the answer to Tags, appending to dst.
func ParseTags(dst []replica.TagAt, b []byte) (next keyspace.Rank, tags []replica.TagAt, err error) {
	d := decoder{b: b}
	next = keyspace.Rank(d.uint64())
	last := keyspace.Rank(0)
	for i := range d.count(MaxTags, 2) {
		step := keyspace.Rank(d.uvarint())
		if last += step; i > 0 && (step == 0 || last < step) { // not ascending
			d.bad = true
		}
		t := replica.TagAt{Rank: last}
		if len(d.b) > 0 && d.b[0] == 0 {
			t.Shared, d.b = true, d.b[1:]
		} else {
			t.Tag, t.Owner = d.tag()
		}
		dst = append(dst, t)
	}
	return next, dst, d.end()
}

// AppendRanks appends the body of a Fetch: the ranks, ascending, and a key. The keys up to and
// including that one are left out at the first rank. An empty key leaves out nothing.
func AppendRanks(dst []byte, ranks []keyspace.Rank, after []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(ranks)))
	for _, r := range ranks {
		dst = binary.LittleEndian.AppendUint64(dst, uint64(r))
	}
	return appendBytes(dst, after)
}

// ParseRanks decodes the body of a Fetch, appending to dst.
func ParseRanks(dst []keyspace.Rank, b []byte) (ranks []keyspace.Rank, after []byte, err error) {
	d := decoder{b: b}
	for i := range d.count(MaxRanks, 8) {
		dst = append(dst, keyspace.Rank(d.uint64()))
		if n := len(dst); i > 0 && dst[n-1] <= dst[n-2] {
			d.bad = true
		}
	}
	after = d.after()
	return dst, after, d.end()
}

// AppendEntry appends one record of a list of records.
func AppendEntry(dst, key []byte, r *version.Record) []byte {
	return appendRecord(appendBytes(dst, key), r)
}

// AppendNext ends a list of records as it travels in the answers to Copy and Fetch, and in Push:
//
//	(key | metadata | value)* | 0 (1) | next: rank (8) | key
//
// AppendEntry appends each record, up to MaxRecords. The writer of the list need not know
// beforehand how many records fit: the end is marked by an empty key, which no record has. The
// place where the list goes on stands behind that mark. In a Push it is the zero place.
func AppendNext(dst []byte, next keyspace.Place) []byte {
	dst = binary.LittleEndian.AppendUint64(append(dst, 0), uint64(next.Rank))
	return appendBytes(dst, next.Key)
}

// ParseRecords decodes a list of records, appending to dst. Ranks do not travel: the receiver
// computes them from the keys, under a seed that this package does not know.
func ParseRecords(dst []replica.Entry, b []byte) (next keyspace.Place, records []replica.Entry, err error) {
	d := decoder{b: b}
	for n := 0; len(d.b) > 0 && d.b[0] != 0 && !d.bad; n++ {
		if n == MaxRecords {
			d.bad = true
			break
		}
		e := replica.Entry{Key: d.key()}
		e.Record = d.record()
		if e.Record.Tag.Counter == 0 {
			d.bad = true
		}
		dst = append(dst, e)
	}
	if d.byte() != 0 {
		d.bad = true
	}
	next.Rank = keyspace.Rank(d.uint64())
	next.Key = d.after()
	return next, dst, d.end()
}

// AppendList appends the body of a Purge: the list's ID, and its tombstones.
func AppendList(dst []byte, id uint64, list []replica.Tombstone) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, id)
	dst = binary.AppendUvarint(dst, uint64(len(list)))
	for i := range list {
		dst = appendBytes(dst, list[i].Key)
		dst = appendTag(dst, list[i].Tag, version.Contested)
	}
	return dst
}

// ParseList decodes the body of a Purge, appending to dst.
func ParseList(dst []replica.Tombstone, b []byte) (id uint64, list []replica.Tombstone, err error) {
	d := decoder{b: b}
	id = d.uint64()
	for range d.count(maxList, 7) {
		t := replica.Tombstone{Key: d.key()}
		t.Tag, _ = d.tag()
		if !t.Tag.Removed {
			d.bad = true
		}
		dst = append(dst, t)
	}
	return id, dst, d.end()
}
