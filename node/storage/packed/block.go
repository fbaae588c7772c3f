package packed

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// Sizes of the format.
const (
	MaxKeyBytes   = 1 << 8
	maxMetaBytes  = 1<<10 - 1
	MaxValueBytes = 1<<14 - 1

	// MaxBytes is the longest block. Offsets would allow 64 KiB. But every change of a length moves
	// half a block on average, so a longer chain of blocks beats longer blocks.
	MaxBytes = 1 << 15

	countBytes  = 2
	groupSlots  = 8
	groupBytes  = groupSlots * (1 + 2)
	lengthBytes = 4
)

// Block is the part of a block that is in use. The slice's capacity is how far it may grow. The
// empty block is a slice of length zero.
type Block []byte

// Record is one record of a block. It borrows the block.
type Record struct {
	Key, Meta, Value []byte
}

// RecordBytes returns the bytes that a record takes in a block besides the directory.
func RecordBytes(key, meta, value int) int { return lengthBytes + key + meta + value }

// Bytes returns the length of a block of n records that take so many bytes together.
func Bytes(n, records int) int {
	if n == 0 {
		return 0
	}
	return first(n) + records
}

// first returns the position of the first record in a block of n records.
func first(n int) int { return countBytes + (n+groupSlots-1)/groupSlots*groupBytes }

// count returns the number of records.
func (b Block) count() int {
	if len(b) == 0 {
		return 0
	}
	return int(binary.LittleEndian.Uint16(b))
}

// Grown returns the length that the block would have after a record of so many bytes was appended.
func (b Block) Grown(record int) int {
	n := b.count()
	if n == 0 {
		return first(1) + record
	}
	return len(b) + record + first(n+1) - first(n)
}

// entry returns the position of a slot's offset.
func entry(slot int) int {
	return countBytes + slot/groupSlots*groupBytes + groupSlots + slot%groupSlots*2
}

// mark returns the position of a slot's fingerprint.
func mark(slot int) int { return countBytes + slot/groupSlots*groupBytes + slot%groupSlots }

func (b Block) offset(slot int) int { return int(binary.LittleEndian.Uint16(b[entry(slot):])) }

func (b Block) setOffset(slot, offset int) {
	binary.LittleEndian.PutUint16(b[entry(slot):], uint16(offset))
}

const (
	lows  = 0x0101010101010101
	highs = 0x8080808080808080
)

// Find returns the slot of a key, or -1 if there is none. The fingerprint is a byte of the key's
// hash on which the bucket does not depend.
func (b Block) Find(fingerprint byte, key []byte) int {
	n := b.count()
	if n == 0 {
		return -1
	}
	base := first(n)
	for slot, at := 0, countBytes; slot < n; slot, at = slot+groupSlots, at+groupBytes {
		// A zero byte of w is a match. The test can also flag the byte right above a match; then
		// the comparison of keys decides.
		w := binary.LittleEndian.Uint64(b[at:]) ^ uint64(fingerprint)*lows
		for hits := (w - lows) & ^w & highs; hits != 0; hits &= hits - 1 {
			i := bits.TrailingZeros64(hits) / 8
			if slot+i >= n {
				break
			}
			r := base + int(binary.LittleEndian.Uint16(b[at+groupSlots+2*i:]))
			if int(b[r])+1 == len(key) && bytes.Equal(b[r+lengthBytes:r+lengthBytes+len(key)], key) {
				return slot + i
			}
		}
	}
	return -1
}

// At returns the record of a slot.
func (b Block) At(slot int) Record {
	r, _ := b.Next(first(b.count()) + b.offset(slot))
	return r
}

// First returns the position of the first record, for Next.
func (b Block) First() int { return first(b.count()) }

// Next returns the record at a position, and the position of the record behind it. Behind the last
// record that is the block's length.
func (b Block) Next(at int) (r Record, next int) {
	key, meta, value := lengths(b[at:])
	at += lengthBytes
	r.Key = b[at : at+key : at+key]
	at += key
	r.Meta = b[at : at+meta : at+meta]
	at += meta
	r.Value = b[at : at+value : at+value]
	return r, at + value
}

func lengths(b []byte) (key, meta, value int) {
	l := binary.LittleEndian.Uint32(b)
	return int(l&0xff) + 1, int(l >> 8 & 0x3ff), int(l >> 18)
}

func putLengths(b []byte, key, meta, value int) {
	binary.LittleEndian.PutUint32(b, uint32(key-1)|uint32(meta)<<8|uint32(value)<<18)
}
