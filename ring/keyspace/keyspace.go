// Package keyspace puts all keys in one order that every node shares.
//
// The hash of a key gives its partition (which the ring gives to an owner) and its rank. The order
// of ranks is chosen so that a bucket of the store, at any depth of linear hashing, is one interval
// of ranks:
//
//	rank  = partition (8 bits) | the hash's low 56 bits, lowest bit first
//	bucket i of 2^L in partition p = [ p | reverse(i, L bits) , + 2^(56-L) )
//
// Splitting a bucket halves its interval, and merging doubles it. So an interval of ranks means the
// same set of keys on every node, whatever buckets the nodes have. Scan cursors, digest comparisons
// and bulk copies therefore all work on ranges of ranks. (Redis SCAN walks its table in the order
// of reversed bits for the same reason.)
//
// K1. The layout is a pure function of the seed, which each cluster draws once and keeps in its
// topology. The seed is secret to clients. The hash is a keyed one: without the seed nobody can
// compute which keys share a rank, even with the hashes of other keys at hand.
//
// K2. Two keys hardly ever share a rank, so this case need not be fast. It must still be right:
// every walk through the keys in portions can stop and go on within a rank (Place).
package keyspace

import (
	"math"
	"math/bits"

	"github.com/cespare/xxhash/v2"

	"viakv/quorum/version/rule"
)

// Partitions is the number of slices of the hash space. It is part of the protocol: all nodes must
// have the same number.
const Partitions = 256

// rankBits is the number of hash bits below the partition in a rank.
const rankBits = 56

// Seed is the secret key of the hash. It is equal on all nodes of a cluster.
type Seed [2]uint64

// Hash is the keyed 64-bit hash of a key.
type Hash uint64

// Partition is one of the Partitions slices of the hash space.
type Partition uint16

// Rank is the place of a key in the order of keys that the cluster shares. Two keys share a rank
// only if they agree in partition and in the low 56 bits of their hashes.
type Rank uint64

// Hash returns the hash of a key under the seed: SipHash-1-3, which is made to withstand clients
// that choose keys to collide. docs/adr/0015-keyed-hash.md has the reasons.
func (s Seed) Hash(key []byte) Hash {
	if rule.Broken(rule.KeyedHash) {
		return s.weak(key)
	}
	return Hash(siphash(s[0], s[1], key))
}

// weak is the hash without K1: seeded xxhash64. Keys are known that collide under nearly every seed
// of it (package keyspacetest).
func (s Seed) weak(key []byte) Hash {
	var d xxhash.Digest
	d.ResetWithSeed(s[0])
	_, _ = d.Write(key) // never fails, by its contract
	return Hash(d.Sum64())
}

// Partition returns the slice of the hash space that h falls in. The slices differ in width on
// purpose: from the first to the last the width grows geometrically, to about twice the first. So
// at any time the buckets of different partitions are in different stages of growth, and the
// allocator never has to serve one size for all.
func (h Hash) Partition() Partition { return Partition(partitionTable[h>>52]) }

// Rank returns the place of h in the order of keys.
func (h Hash) Rank() Rank {
	return h.Partition().First() | Rank(bits.Reverse64(uint64(h))>>(64-rankBits))
}

// First returns the lowest rank of the partition.
func (p Partition) First() Rank { return Rank(p) << rankBits }

// Partition returns the partition that the rank lies in.
func (r Rank) Partition() Partition { return Partition(r >> rankBits) }

// Bucket returns the range of bucket i among 2^level in partition p.
func (p Partition) Bucket(level uint, i uint64) Range {
	// i has level bits; reversed, they become the highest of the 56.
	first := p.First() | Rank(bits.Reverse64(i)>>(64-rankBits))
	return Range{From: first, To: first + 1<<(rankBits-level)}
}

// Index returns the index of the bucket that the rank lies in, among the 2^level buckets of its
// partition. The index is the level lowest bits of the hash.
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
