package replica

import (
	"encoding/binary"
	"fmt"
)

// Digest stands for a set of records. Equal digests mean equal sets, except with a probability of
// about 2^-64 per pair. A digest is a sum: the order of records does not matter, and digests of
// disjoint sets add up. Digests are comparable with ==. The zero Digest is that of no records. The
// store decides what a record adds.
type Digest struct {
	Records    uint64
	Tombstones uint64 // how many of the records are tombstones
	Sum        [2]uint64
}

// DigestBytes is the length of an encoded digest.
const DigestBytes = 32

// Add returns the digest of two disjoint sets together.
func (d Digest) Add(o Digest) Digest {
	return Digest{d.Records + o.Records, d.Tombstones + o.Tombstones, [2]uint64{d.Sum[0] + o.Sum[0], d.Sum[1] + o.Sum[1]}}
}

// Sub returns the digest of a set without a part of it.
func (d Digest) Sub(o Digest) Digest {
	return Digest{d.Records - o.Records, d.Tombstones - o.Tombstones, [2]uint64{d.Sum[0] - o.Sum[0], d.Sum[1] - o.Sum[1]}}
}

// Append appends the digest as it is sent: records, tombstones and the two sums, 64 bits each,
// little-endian.
func (d Digest) Append(dst []byte) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, d.Records)
	dst = binary.LittleEndian.AppendUint64(dst, d.Tombstones)
	dst = binary.LittleEndian.AppendUint64(dst, d.Sum[0])
	return binary.LittleEndian.AppendUint64(dst, d.Sum[1])
}

// ParseDigest decodes the DigestBytes that Append made.
func ParseDigest(b [DigestBytes]byte) (d Digest) {
	d.Records, d.Tombstones = binary.LittleEndian.Uint64(b[0:]), binary.LittleEndian.Uint64(b[8:])
	d.Sum = [2]uint64{binary.LittleEndian.Uint64(b[16:]), binary.LittleEndian.Uint64(b[24:])}
	return d
}

// String renders the counts and the sums, as in
//
//	12 records (2 tombstones) 0123456789abcdef:0123456789abcdef
func (d Digest) String() string {
	return fmt.Sprintf("%d records (%d tombstones) %016x:%016x", d.Records, d.Tombstones, d.Sum[0], d.Sum[1])
}
