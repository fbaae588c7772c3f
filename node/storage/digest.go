package storage

import (
	"math/bits"

	"viakv/quorum/replica"
	"viakv/quorum/version"
	"viakv/ring/keyspace"
)

// digestKey is the secret of the digests.
type digestKey [2]uint64

// Odd constants without structure (the fractional digits of the square roots of small primes).
const (
	mix0 = 0x6a09e667f3bcc909
	mix1 = 0xbb67ae8584caa73b
	mix2 = 0x3c6ef372fe94f82b
	mix3 = 0xa54ff53a5f1d36f1
	mix4 = 0x510e527fade682d1
	mix5 = 0x9b05688c2b3e6c1f
	mix6 = 0x1f83d9abfb41bd6b
	mix7 = 0x5be0cd19137e2179
)

// fold multiplies to 128 bits and folds the halves. Every bit of the result depends on all of a and
// b.
func fold(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}

// of returns one record's digest. It covers the hash of the key and the tag and, for a tombstone,
// also the owner: copies of one tombstone with different owners are different records
// (version.Merge). Vector and value follow from the tag (V2). The definition is part of the
// protocol, because nodes compare the results.
func (k digestKey) of(h keyspace.Hash, tag version.Tag, owner version.Operation) replica.Digest {
	d := replica.Digest{Records: 1}
	what := uint64(tag.Incarnation) << 1
	write := uint64(tag.Generation)
	if tag.Removed {
		d.Tombstones = 1
		what |= 1
		write ^= fold(uint64(owner.Incarnation)^k[0]^mix4, owner.Sequence^k[1]^mix5)
	}
	a := fold(uint64(h)^k[0]^mix0, tag.Counter^k[1]^mix1)
	b := fold(what^k[1]^mix2, write^k[0]^mix3)
	d.Sum[0] = fold(a^k[1]^mix6, b^k[0]^mix7)
	d.Sum[1] = fold(uint64(h)^bits.RotateLeft64(b, 32)^k[1], bits.RotateLeft64(tag.Counter, 32)^a^k[0]^mix0)
	return d
}
