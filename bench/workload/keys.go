package workload

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Range is an inclusive range of sizes, in characters.
type Range struct{ Min, Max int }

func (r Range) String() string {
	if r.Min == r.Max {
		return strconv.Itoa(r.Min)
	}
	return fmt.Sprintf("%d-%d", r.Min, r.Max)
}

// ParseRange parses a text like "100" or "20-180".
func ParseRange(s string) (r Range, err error) {
	low, high, ranged := strings.Cut(s, "-")
	if r.Min, err = strconv.Atoi(low); err != nil {
		return r, fmt.Errorf("size %q: give a number or a range as in 20-180", s)
	}
	if r.Max = r.Min; ranged {
		if r.Max, err = strconv.Atoi(high); err != nil || r.Max < r.Min {
			return r, fmt.Errorf("size %q: give a number or a range as in 20-180", s)
		}
	}
	return r, nil
}

// at picks a size of the range by a hash.
func (r Range) at(hash uint64) int {
	return r.Min + int(hash%uint64(r.Max-r.Min+1))
}

const (
	indexDigits   = 10 // the digits of a key's index
	maxKeySize    = 64
	maxValueSize  = 256
	saltedSize    = 16 // values of at least this length begin with their salt
	saltDigits    = 8
	hexDigits     = "0123456789abcdef"
	letters       = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
	bitsPerLetter = 6
)

// Keys is a space of keys, numbered from 0, and their values.
type Keys struct {
	Prefix    string
	Seed      uint64
	KeySize   Range // characters; at least the prefix and ten digits
	ValueSize Range
}

// DefaultKeys returns a space with keys of 16 and values of 100 characters.
func DefaultKeys() Keys {
	return Keys{Prefix: "bench-", Seed: 1, KeySize: Range{16, 16}, ValueSize: Range{100, 100}}
}

// Validate returns all faults of the key space.
func (k Keys) Validate() error {
	var faults []error
	for _, c := range k.Prefix {
		if c <= ' ' || c > '~' || c == '"' || c == '\\' {
			faults = append(faults, fmt.Errorf("key prefix %q: use printable ASCII without quotes and backslashes", k.Prefix))
			break
		}
	}
	if least := len(k.Prefix) + indexDigits; k.KeySize.Min < least || k.KeySize.Max > maxKeySize || k.KeySize.Max < k.KeySize.Min {
		faults = append(faults, fmt.Errorf("key size %v: give %d (the prefix and %d digits) to %d", k.KeySize, least, indexDigits, maxKeySize))
	}
	if k.ValueSize.Min < 0 || k.ValueSize.Max > maxValueSize || k.ValueSize.Max < k.ValueSize.Min {
		faults = append(faults, fmt.Errorf("value size %v: give 0 to %d", k.ValueSize, maxValueSize))
	}
	return errors.Join(faults...)
}

// AppendKey appends the key of an index: the prefix, the index, and letters up to the key's size.
func (k *Keys) AppendKey(dst []byte, index uint64) []byte {
	h := mix(k.Seed ^ mix(index))
	size := k.KeySize.at(h)
	dst = append(dst, k.Prefix...)
	var digits [indexDigits]byte
	for i, n := indexDigits-1, index; i >= 0; i, n = i-1, n/10 {
		digits[i] = '0' + byte(n%10)
	}
	dst = append(dst, digits[:]...)
	return appendLetters(dst, size-len(k.Prefix)-indexDigits, h)
}

// Index returns the index of a key. It returns false when the key is not of this space.
func (k *Keys) Index(key []byte) (uint64, bool) {
	if len(key) < len(k.Prefix)+indexDigits || string(key[:len(k.Prefix)]) != k.Prefix {
		return 0, false
	}
	var index uint64
	for _, c := range key[len(k.Prefix) : len(k.Prefix)+indexDigits] {
		if c < '0' || c > '9' {
			return 0, false
		}
		index = index*10 + uint64(c-'0')
	}
	var room [maxKeySize]byte
	return index, string(k.AppendKey(room[:0], index)) == string(key)
}

// AppendValue appends a value of an index. Each salt gives another value; all values of a key have
// the same size. A value of fewer than 16 characters has no salt.
func (k *Keys) AppendValue(dst []byte, index uint64, salt uint32) []byte {
	size := k.ValueSize.at(mix(k.Seed + mix(^index)))
	if size < saltedSize {
		salt = 0
	} else {
		for i := range saltDigits {
			dst = append(dst, hexDigits[salt>>(4*(saltDigits-1-i))&15])
		}
		size -= saltDigits
	}
	return appendLetters(dst, size, mix(k.Seed^mix(index)+uint64(salt)))
}

// Matches reports whether AppendValue gives this value for the index with any salt.
func (k *Keys) Matches(index uint64, value []byte) bool {
	var salt uint64
	if len(value) >= saltedSize {
		var err error
		if salt, err = strconv.ParseUint(string(value[:saltDigits]), 16, 32); err != nil {
			return false
		}
	}
	var room [maxValueSize]byte
	return string(k.AppendValue(room[:0], index, uint32(salt))) == string(value)
}

// appendLetters appends n letters, drawn from a seed.
func appendLetters(dst []byte, n int, seed uint64) []byte {
	for n > 0 {
		seed = mix(seed)
		for bits, left := seed, 64/bitsPerLetter; left > 0 && n > 0; left, n = left-1, n-1 {
			dst = append(dst, letters[bits&(1<<bitsPerLetter-1)])
			bits >>= bitsPerLetter
		}
	}
	return dst
}

// mix is the finalizer of splitmix64: a bijection without visible structure.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
