package keyspace

import (
	"encoding/binary"
	"math/bits"
)

// siphash returns the SipHash-1-3 of the message p under a key of 128 bits (Aumasson, Bernstein:
// SipHash: a fast short-input PRF, Indocrypt 2012). There is one round for each word of eight
// bytes, and there are three rounds at the end. The words and the key are little-endian.
func siphash(k0, k1 uint64, p []byte) uint64 {
	v0 := k0 ^ 0x736f6d6570736575
	v1 := k1 ^ 0x646f72616e646f6d
	v2 := k0 ^ 0x6c7967656e657261
	v3 := k1 ^ 0x7465646279746573
	last := uint64(len(p)) << 56 // the last word: the length on top of the bytes that fill no word
	if len(p) >= 8 {
		end := binary.LittleEndian.Uint64(p[len(p)-8:])
		for ; len(p) >= 8; p = p[8:] {
			m := binary.LittleEndian.Uint64(p)
			v3 ^= m
			v0, v1, v2, v3 = sipRound(v0, v1, v2, v3)
			v0 ^= m
		}
		last |= end >> (64 - 8*len(p)) // with no bytes left, a shift by 64 gives 0
	} else {
		for i, b := range p {
			last |= uint64(b) << (8 * i)
		}
	}
	v3 ^= last
	v0, v1, v2, v3 = sipRound(v0, v1, v2, v3)
	v0 ^= last
	v2 ^= 0xff
	v0, v1, v2, v3 = sipRound(v0, v1, v2, v3)
	v0, v1, v2, v3 = sipRound(v0, v1, v2, v3)
	v0, v1, v2, v3 = sipRound(v0, v1, v2, v3)
	return v0 ^ v1 ^ v2 ^ v3
}

// sipRound is one round of SipHash. It is small enough to be inlined.
func sipRound(v0, v1, v2, v3 uint64) (uint64, uint64, uint64, uint64) {
	v0 += v1
	v1 = bits.RotateLeft64(v1, 13) ^ v0
	v0 = bits.RotateLeft64(v0, 32)
	v2 += v3
	v3 = bits.RotateLeft64(v3, 16) ^ v2
	v0 += v3
	v3 = bits.RotateLeft64(v3, 21) ^ v0
	v2 += v1
	v1 = bits.RotateLeft64(v1, 17) ^ v2
	return v0, v1, bits.RotateLeft64(v2, 32), v3
}
