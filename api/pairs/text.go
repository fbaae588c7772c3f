package pairs

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	lowBits  = 0x0101010101010101
	highBits = 0x8080808080808080
)

// special returns the index of the first control character, quote or backslash. Where mask has the
// high bits set, a byte beyond ASCII counts as well. It returns len(s) when there is none.
//
// It looks at eight bytes in a step. Flipping bit 1 exchanges the quote, 0x22, with the space,
// 0x20, and maps control characters to control characters. Quotes and control characters then lie
// below 0x21. A second exclusive or makes backslashes zero. Subtracting sets the high bit of a byte
// that is below the bound, or that is zero. A borrow can only mark bytes above one that is rightly
// marked, and only the lowest mark counts.
func special(s []byte, mask uint64) int {
	i := 0
	for ; i+8 <= len(s); i += 8 {
		w := binary.LittleEndian.Uint64(s[i:])
		found := ((w ^ lowBits*2) - lowBits*0x21) | ((w ^ lowBits*'\\') - lowBits)
		if found = found&^w&highBits | w&mask; found != 0 {
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

// plain returns the length of a text that stands before a quote as it is: UTF-8 without an escape.
// It returns -1 when the text is another one, or when there is no quote.
func plain(s []byte) int {
	n := special(s, highBits)
	if n < len(s) && s[n] >= utf8.RuneSelf {
		ascii := n
		n += special(s[n:], 0)
		if !utf8.Valid(s[ascii:n]) {
			return -1
		}
	}
	if n == len(s) || s[n] != '"' {
		return -1
	}
	return n
}

// closing looks for the quote that closes a string, from the index at on. Where s has no more of
// the string, it returns the index to go on at when there is more, which is not in an escape.
func closing(s []byte, at int) (index int, found bool, fault string) {
	for {
		at += special(s[at:], 0)
		switch {
		case at == len(s):
			return at, false, ""
		case s[at] == '"':
			return at, true, ""
		case s[at] != '\\':
			return at, false, control
		case at+1 == len(s):
			return at, false, ""
		}
		at += 2
	}
}

// decode returns the text of a string, given what is between its quotes. It overwrites what it is
// given when that has escapes: no escape is shorter than its character.
func decode(s []byte) (text []byte, fault string) {
	if !utf8.Valid(s) {
		return nil, notText
	}
	i := bytes.IndexByte(s, '\\')
	if i < 0 {
		return s, ""
	}
	text, s = s[:i], s[i:]
	for len(s) > 0 {
		r, n, fault := escape(s)
		if fault != "" {
			return nil, fault
		}
		text = utf8.AppendRune(text, r)
		s = s[n:]
		if i = bytes.IndexByte(s, '\\'); i < 0 {
			i = len(s)
		}
		text = append(text, s[:i]...)
		s = s[i:]
	}
	return text, ""
}

// escape decodes the escape, or the two of a surrogate pair, that s begins with. It returns its
// length, too.
func escape(s []byte) (r rune, n int, fault string) {
	if r, n = half(s); n == 0 {
		return 0, 0, badEscape
	}
	if utf16.IsSurrogate(r) {
		low, more := half(s[n:])
		if r = utf16.DecodeRune(r, low); more == 0 || r == utf8.RuneError {
			return 0, 0, halfCharacter
		}
		n += more
	}
	return r, n, ""
}

// half decodes the escape that s begins with, which may be half a surrogate pair. It returns zero
// when s begins with none.
func half(s []byte) (r rune, n int) {
	if len(s) < 2 || s[0] != '\\' {
		return 0, 0
	}
	switch s[1] {
	case '"', '\\', '/':
		return rune(s[1]), 2
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	case 'u':
		if len(s) >= 6 {
			if v, err := strconv.ParseUint(string(s[2:6]), 16, 16); err == nil {
				return rune(v), 6
			}
		}
	}
	return 0, 0
}

// space is what JSON allows between tokens.
const space = " \n\r\t"

// isSpace reports whether JSON allows the byte between tokens.
func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\r' || c == '\t' }
