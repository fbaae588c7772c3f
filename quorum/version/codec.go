package version

import (
	"encoding/binary"
	"errors"
)

// The metadata of a record is stored and sent in this form. All integers after the flags are
// uvarints:
//
//	flags (1 byte) | generation | counter | incarnation |
//	[owner incarnation | owner sequence] | vector
//
// Bit 0 of the flags marks a tombstone. Bit 1 says that an owner follows; a tombstone without an
// owner is contested. The vector fills the rest.

const (
	flagRemoved = 1 << 0
	flagOwned   = 1 << 1
	flagsKnown  = flagRemoved | flagOwned
)

// MaxMetaBytes is the longest encoding of a record's metadata.
const MaxMetaBytes = 1 + 5*binary.MaxVarintLen64 + MaxVectorBytes

// errCorrupt is the error for bytes that AppendMeta cannot have written.
var errCorrupt = errors.New("version: malformed record metadata")

// AppendMeta appends the encoding of r without its value.
func AppendMeta(dst []byte, r *Record) []byte {
	var flags byte
	if r.Tag.Removed {
		flags |= flagRemoved
		if r.Owner != Contested {
			flags |= flagOwned
		}
	}
	dst = append(dst, flags)
	dst = binary.AppendUvarint(dst, uint64(r.Tag.Generation))
	dst = binary.AppendUvarint(dst, r.Tag.Counter)
	dst = binary.AppendUvarint(dst, uint64(r.Tag.Incarnation))
	if flags&flagOwned != 0 {
		dst = binary.AppendUvarint(dst, uint64(r.Owner.Incarnation))
		dst = binary.AppendUvarint(dst, r.Owner.Sequence)
	}
	return append(dst, r.Vector...)
}

// ParseMeta decodes what AppendMeta wrote. The vector borrows b; the value is left nil. ParseMeta
// does not check the vector: a caller that reads from a peer calls Vector.Check, and a caller that
// reads back what it has stored need not.
func ParseMeta(b []byte) (r Record, err error) {
	if len(b) == 0 || b[0]&^flagsKnown != 0 || b[0] == flagOwned {
		return Record{}, errCorrupt
	}
	flags := b[0]
	generation, at := number(b, 1)
	counter, at := number(b, at)
	incarnation, at := number(b, at)
	r.Tag = Tag{Generation(generation), counter, Incarnation(incarnation), flags&flagRemoved != 0}
	if flags&flagOwned != 0 {
		var owner uint64
		owner, at = number(b, at)
		r.Owner.Incarnation = Incarnation(owner)
		r.Owner.Sequence, at = number(b, at)
	}
	if at > len(b) {
		return Record{}, errCorrupt
	}
	r.Vector = Vector(b[at:])
	return r, nil
}

// Removed reports whether metadata that AppendMeta wrote belongs to a tombstone. It does not decode
// the rest.
func Removed(meta []byte) bool { return meta[0]&flagRemoved != 0 }

// number reads a uvarint and returns the position behind it. Where there is no uvarint, that
// position lies beyond the end of b. Most numbers have one byte, and a scan parses millions of
// them: so number is small enough to be inlined, and leaves longer ones to longNumber.
func number(b []byte, at int) (uint64, int) {
	if at < len(b) && b[at] < 0x80 {
		return uint64(b[at]), at + 1
	}
	return longNumber(b, at)
}

func longNumber(b []byte, at int) (uint64, int) {
	if at >= len(b) {
		return 0, len(b) + 1
	}
	x, n := binary.Uvarint(b[at:])
	if n <= 0 {
		return 0, len(b) + 1
	}
	return x, at + n
}
