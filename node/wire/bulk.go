package wire

import (
	"encoding/binary"

	"viakv/quorum/version"
	"viakv/ring/keyspace"
)

// Limits of one bulk message.
const (
	MaxRanges  = 4096
	MaxRanks   = 4096
	MaxTags    = 1 << 16
	MaxRecords = 1 << 16
	MaxList    = 1 << 17 // tombstones of one purge
)

// Digest is a digest as it travels: what is in it is the store's business.
type Digest [32]byte

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
func AppendDigests(dst []byte, digests []Digest) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(digests)))
	for i := range digests {
		dst = append(dst, digests[i][:]...)
	}
	return dst
}

// ParseDigests decodes the body of the answer to a Digests request, appending to dst.
func ParseDigests(dst []Digest, b []byte) ([]Digest, error) {
	d := decoder{b: b}
	for range d.count(MaxRanges, 32) {
		dst = append(dst, Digest(d.b[:32]))
		d.b = d.b[32:]
	}
	return dst, d.end()
}

// RangeRequest is the body of Tags and Copy: a range, and how much of it may be answered at once.
type RangeRequest struct {
	Range keyspace.Range
	Max   uint64 // tags, or bytes
}

// AppendRangeRequest appends the body of Tags or Copy.
func AppendRangeRequest(dst []byte, r RangeRequest) []byte {
	return binary.AppendUvarint(appendRange(dst, r.Range), r.Max)
}

// ParseRangeRequest decodes the body of Tags or Copy.
func ParseRangeRequest(b []byte) (r RangeRequest, err error) {
	d := decoder{b: b}
	r.Range = d.keyRange()
	r.Max = d.uvarint()
	return r, d.end()
}

// RankedTag says which version lies at a rank.
type RankedTag struct {
	Rank  keyspace.Rank
	Tag   version.Tag
	Owner version.Operation
}

// AppendTags appends the body of the answer to Tags: ascending by rank, and where the range goes on.
func AppendTags(dst []byte, next keyspace.Rank, tags []RankedTag) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, uint64(next))
	dst = binary.AppendUvarint(dst, uint64(len(tags)))
	last := keyspace.Rank(0)
	for i := range tags {
		dst = binary.AppendUvarint(dst, uint64(tags[i].Rank-last))
		dst = appendTag(dst, tags[i].Tag, tags[i].Owner)
		last = tags[i].Rank
	}
	return dst
}

// ParseTags decodes the body of the answer to Tags, appending to dst.
func ParseTags(dst []RankedTag, b []byte) (next keyspace.Rank, tags []RankedTag, err error) {
	d := decoder{b: b}
	next = keyspace.Rank(d.uint64())
	last := keyspace.Rank(0)
	for range d.count(MaxTags, 6) {
		last += keyspace.Rank(d.uvarint())
		t := RankedTag{Rank: last}
		t.Tag, t.Owner = d.tag()
		dst = append(dst, t)
	}
	return next, dst, d.end()
}

// AppendRanks appends the body of a Fetch.
func AppendRanks(dst []byte, ranks []keyspace.Rank) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(ranks)))
	for _, r := range ranks {
		dst = binary.LittleEndian.AppendUint64(dst, uint64(r))
	}
	return dst
}

// ParseRanks decodes the body of a Fetch, appending to dst.
func ParseRanks(dst []keyspace.Rank, b []byte) ([]keyspace.Rank, error) {
	d := decoder{b: b}
	for range d.count(MaxRanks, 8) {
		dst = append(dst, keyspace.Rank(d.uint64()))
	}
	return dst, d.end()
}

// Keyed is a record and its key.
type Keyed struct {
	Key    []byte
	Record version.Record
}

// AppendKeyed appends one record of a list of records.
func AppendKeyed(dst, key []byte, r *version.Record) []byte {
	return appendRecord(appendBytes(dst, key), r)
}

// AppendRecords begins a list of records as it travels in the answers to Copy and Fetch, and in Push:
//
//	next (8) | (key | metadata | value)*
//
// AppendKeyed adds to it. It ends with the message: whoever fills it need not know beforehand how much fits.
func AppendRecords(dst []byte, next keyspace.Rank) []byte {
	return binary.LittleEndian.AppendUint64(dst, uint64(next))
}

// SetNext replaces the next rank of a list of records that begins at b.
func SetNext(b []byte, next keyspace.Rank) { binary.LittleEndian.PutUint64(b, uint64(next)) }

// ParseRecords decodes a list of records, appending to dst.
func ParseRecords(dst []Keyed, b []byte) (next keyspace.Rank, records []Keyed, err error) {
	d := decoder{b: b}
	next = keyspace.Rank(d.uint64())
	for n := 0; len(d.b) > 0 && !d.bad; n++ {
		if n == MaxRecords {
			d.bad = true
			break
		}
		k := Keyed{Key: d.key()}
		k.Record = d.record()
		if k.Record.Tag.Counter == 0 {
			d.bad = true
		}
		dst = append(dst, k)
	}
	return next, dst, d.end()
}

// Tombstone names one tombstone of a list.
type Tombstone struct {
	Key []byte
	Tag version.Tag
}

// AppendList appends the body of a Purge: the list's id, and its tombstones.
func AppendList(dst []byte, id uint64, list []Tombstone) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, id)
	dst = binary.AppendUvarint(dst, uint64(len(list)))
	for i := range list {
		dst = appendBytes(dst, list[i].Key)
		dst = appendTag(dst, list[i].Tag, version.Contested)
	}
	return dst
}

// ParseList decodes the body of a Purge, appending to dst.
func ParseList(dst []Tombstone, b []byte) (id uint64, list []Tombstone, err error) {
	d := decoder{b: b}
	id = d.uint64()
	for range d.count(MaxList, 7) {
		t := Tombstone{Key: d.key()}
		t.Tag, _ = d.tag()
		if !t.Tag.Removed {
			d.bad = true
		}
		dst = append(dst, t)
	}
	return id, dst, d.end()
}
