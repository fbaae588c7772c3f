// Package keyspacetest makes keys that attack a hash. It is for tests.
package keyspacetest

import "encoding/binary"

// keyBytes is the length of the keys in bytes: two stripes of xxhash64.
const keyBytes = 64

// The first two primes of xxhash64, and the inverse of the second prime modulo 2^64.
const (
	prime1   uint64 = 11400714785074694791
	prime2   uint64 = 14029467366897019727
	inverse2 uint64 = 0x0ba79078168d4baf
)

// lanes is how many of the four lanes of xxhash64 the keys differ in.
const lanes = 2

// Colliding returns n different keys of 64 ASCII characters each that xxhash64 hashes alike under
// nearly every seed.
//
// xxhash64 reads 32 bytes at a time into four lanes of 64 bits. A lane a takes in a word x by this
// step:
//
//	a = rotate(a + x*prime2, 31) * prime1
//
// A word that is larger by d/prime2 makes the sum larger by d. As long as the low 33 bits of the
// sum do not overflow, the rotation turns d into d*2^31. A second word that is smaller by
// d*2^31*prime1/prime2 takes this away again. The seed decides only where the sum begins. With d
// below 2^28 the bits overflow under fewer than one seed in 32 for each lane.
func Colliding(n int) [][]byte {
	// The keys combine the variants of two lanes, so about √n variants of each lane make n keys.
	each := 1
	for each*each < n {
		each++
	}
	var variants [lanes][][2]uint64
	for lane := range variants {
		variants[lane] = pairs(lane, each)
	}
	out := make([][]byte, 0, n)
	for _, a := range variants[0] {
		for _, b := range variants[1] {
			if len(out) == n {
				return out
			}
			key := base()
			put(key, 0, a)
			put(key, 1, b)
			out = append(out, key)
		}
	}
	return out
}

// base returns the key that all keys are variants of.
func base() []byte {
	key := make([]byte, keyBytes)
	for i := range key {
		key[i] = 'a' + byte(i%26)
	}
	return key
}

// put writes the two words of a lane into the key, one into each stripe.
func put(key []byte, lane int, words [2]uint64) {
	binary.LittleEndian.PutUint64(key[8*lane:], words[0])
	binary.LittleEndian.PutUint64(key[32+8*lane:], words[1])
}

// pairs returns n pairs of ASCII words for a lane. Each pair leaves the lane in the same state as
// the first. About one d in 2^16 gives such a pair.
func pairs(lane, n int) (out [][2]uint64) {
	key := base()
	step := inverse2 // a variable: constants do not wrap around
	first, second := binary.LittleEndian.Uint64(key[8*lane:]), binary.LittleEndian.Uint64(key[32+8*lane:])
	for len(out) < n {
		if (first|second)&0x8080808080808080 == 0 {
			out = append(out, [2]uint64{first, second})
		}
		first += step
		second -= step * prime1 << 31
	}
	return out
}
