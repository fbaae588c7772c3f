// Package keyspace lays keys out in one order that every node shares.
//
// A key's hash gives its partition (which the ring gives to an owner) and its rank. The order of ranks is
// chosen so that a bucket of the store, at any depth of linear hashing, is one interval of ranks:
//
//	rank  = partition (8 bits) | the hash's low 56 bits, lowest bit first
//	bucket i of 2^L in partition p = [ p | reverse(i, L bits) , + 2^(56-L) )
//
// Splitting a bucket halves its interval and merging doubles it, so an interval of ranks means the same set
// of keys on every node, whatever the nodes' buckets look like. Scan cursors, digest comparison and bulk
// copies therefore all speak of ranges of ranks and of nothing else. (Redis SCAN walks its table in
// reversed-bit order for the same reason.)
//
// K1. The layout is a pure function of the seed, which the topology hands out once per cluster. The
// seed is secret to clients. The hash is a keyed one, so that without the seed nobody can compute
// which keys share a rank, whatever hashes of other keys they have seen.
//
// K2. That keys share a rank is so unlikely that it need not be fast. It must still be right:
// whatever goes through the keys in portions can stop and go on within a rank (Place).
package keyspace

import (
	"math"
	"math/bits"

	"viakv/quorum/version/rule"
)

// Partitions is the number of slices of the hash space. It is part of the protocol: all nodes must agree.
const Partitions = 256

// rankBits is the number of hash bits below the partition in a rank.
const rankBits = 56

// Seed is the secret of the hash; equal on all nodes of a cluster.
type Seed [2]uint64

// Hash is the keyed 64-bit hash of a key.
type Hash uint64

// Partition is one of the Partitions slices of the hash space.
type Partition uint16

// Rank is a key's place in the cluster-wide order of keys. Two keys share a rank only if they agree in
// partition and in the low 56 bits of their hashes.
type Rank uint64

// Hash returns the hash of a key under the seed: SipHash-1-3, which is made against those who
// choose keys to collide. docs/adr/0015 has the reasons.
func (s Seed) Hash(key []byte) Hash {
	if rule.Broken(rule.KeyedHash) {
		return s.weak(key)
	}
	return Hash(siphash(s[0], s[1], key))
}

// Partition returns the slice of the hash space that h falls in. The slices are uneven on purpose: their
// widths grow geometrically over one doubling, so that at any moment the buckets of different
// partitions are in different stages of growth and the allocator never has to serve one size for all.
func (h Hash) Partition() Partition { return Partition(partitionTable[h>>52]) }

// Rank returns h's place in the order of keys.
func (h Hash) Rank() Rank {
	return h.Partition().First() | Rank(bits.Reverse64(uint64(h))>>(64-rankBits))
}

// First returns the lowest rank of the partition.
func (p Partition) First() Rank { return Rank(p) << rankBits }

// Partition returns the partition that the rank lies in.
func (r Rank) Partition() Partition { return Partition(r >> rankBits) }

// Bucket returns the range of bucket i among 2^level in partition p.
func (p Partition) Bucket(level uint, i uint64) Range {
	width := Rank(1) << (rankBits - level)
	first := p.First()
	if level > 0 {
		first |= Rank(bits.Reverse64(i) >> (64 - rankBits)) // i has level low bits: they land on top of the 56
	}
	return Range{From: first, To: first + width}
}

// Index returns which of 2^level buckets of its partition the rank lies in: the level lowest bits of the hash.
func (r Rank) Index(level uint) uint64 {
	return bits.Reverse64(uint64(r)<<(64-rankBits)) & (1<<level - 1)
}

// partitionTable maps the top 12 bits of a hash to its partition.
var partitionTable = func() (t [4096]uint8) {
	for i := range t {
		t[i] = uint8(math.Floor(Partitions * math.Log2(1+(float64(i)+0.5)/4096)))
	}
	return t
}()
