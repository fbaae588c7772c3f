package api

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"strconv"
	"unicode/utf8"

	"viakv/quorum/version"
)

// appendJSON appends s as a JSON string, byte for byte as encoding/json does without HTML escaping:
// U+2028 and U+2029 are escaped, invalid UTF-8 becomes U+FFFD.
//
// It looks at thirty-two bytes in a step. The first byte beyond ASCII decides how the rest is
// handled. If the rest is valid UTF-8 without a line or paragraph separator, only quotes,
// backslashes and control characters remain to be found. Otherwise appendJSON goes on rune by rune.
func appendJSON(dst, s []byte) []byte {
	dst = append(dst, '"')
	ascii := uint64(highBits)
	for {
		i := nextSpecial(s, ascii)
		dst = append(dst, s[:i]...)
		if i == len(s) {
			return append(dst, '"')
		}
		c := s[i]
		if c >= utf8.RuneSelf {
			s = s[i:]
			if !utf8.Valid(s) || bytes.Contains(s, separatorPrefix) {
				return append(appendRunes(dst, s), '"')
			}
			ascii = 0
			continue
		}
		dst = appendEscape(dst, c)
		s = s[i+1:]
	}
}

const (
	lowBits  = 0x0101010101010101
	highBits = 0x8080808080808080
)

var separatorPrefix = []byte("\xe2\x80") // the first two bytes of U+2000 to U+203F

// nextSpecial returns the index of the first control character, quote or backslash. Where mask has
// the high bits set, a byte beyond ASCII counts as well. It returns len(s) when there is none.
func nextSpecial(s []byte, mask uint64) int {
	i := 0
	for ; i+32 <= len(s); i += 32 {
		w := s[i : i+32 : i+32]
		if special(binary.LittleEndian.Uint64(w), mask)|special(binary.LittleEndian.Uint64(w[8:]), mask)|
			special(binary.LittleEndian.Uint64(w[16:]), mask)|special(binary.LittleEndian.Uint64(w[24:]), mask) != 0 {
			break
		}
	}
	for ; i+8 <= len(s); i += 8 {
		if found := special(binary.LittleEndian.Uint64(s[i:]), mask); found != 0 {
			return i + bits.TrailingZeros64(found)/8
		}
	}
	for ; i < len(s); i++ {
		if c := s[i]; c < 0x20 || c == '"' || c == '\\' || c >= utf8.RuneSelf && mask != 0 {
			return i
		}
	}
	return i
}

// special sets the high bits of a word's special bytes. Flipping bit 1 exchanges the quote, 0x22,
// with the space, 0x20, and maps control characters to control characters. Quotes and control
// characters then lie below 0x21. A second exclusive or makes backslashes zero.
//
// Subtracting sets the high bit of a byte that is below the bound, or that is zero. Bytes beyond
// ASCII have had their high bit set before, and are masked out. A borrow can only mark bytes above
// one that is rightly marked, and only the lowest mark counts.
func special(w, mask uint64) uint64 {
	found := ((w ^ lowBits*2) - lowBits*0x21) | ((w ^ lowBits*'\\') - lowBits)
	return found&^w&highBits | w&mask
}

// appendRunes appends the escaped form of any bytes, rune by rune.
func appendRunes(dst, s []byte) []byte {
	for len(s) > 0 {
		if c := s[0]; c < utf8.RuneSelf {
			if c < 0x20 || c == '"' || c == '\\' {
				dst = appendEscape(dst, c)
			} else {
				dst = append(dst, c)
			}
			s = s[1:]
			continue
		}
		r, n := utf8.DecodeRune(s)
		switch {
		case r == utf8.RuneError && n == 1:
			dst = append(dst, `\ufffd`...)
		case r == '\u2028':
			dst = append(dst, `\u2028`...)
		case r == '\u2029':
			dst = append(dst, `\u2029`...)
		default:
			dst = append(dst, s[:n]...)
		}
		s = s[n:]
	}
	return dst
}

// appendEscape appends the escape of a control character, a quote or a backslash.
func appendEscape(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	case '\b':
		return append(dst, '\\', 'b')
	case '\f':
		return append(dst, '\\', 'f')
	}
	return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
}

const hexDigits = "0123456789abcdef"

// appendTag appends a version as Tag.String renders it, without its allocations.
func appendTag(dst []byte, t version.Tag) []byte {
	if t.IsZero() {
		return append(dst, "absent"...)
	}
	dst = strconv.AppendUint(dst, uint64(t.Generation), 10)
	dst = append(dst, '.')
	dst = strconv.AppendUint(dst, t.Counter, 10)
	dst = append(dst, '@')
	dst = strconv.AppendUint(dst, uint64(t.Incarnation), 10)
	if t.Removed {
		dst = append(dst, "✗"...)
	}
	return dst
}
