package api

import "unicode/utf8"

// textFault says what is wrong with an encoded text.
type textFault uint8

const (
	textFine textFault = iota
	textBadEscape
	textBadUTF8
	textTooLong // longer than the buffer to decode it into
	textFragment
)

// plain reports that the bytes stand for themselves: ASCII without escapes.
func plain(raw []byte) bool {
	for _, c := range raw {
		if !plainByte[c] {
			return false
		}
	}
	return true
}

var plainByte = func() (t [256]bool) {
	for c := range 0x80 {
		t[c] = c != '%' && c != '+' && c != '#'
	}
	return t
}()

// decodeText appends the decoded form of raw to dst, within dst's capacity: it never allocates. '+' is a space. A '#' in
// a request target would be a fragment, which a client keeps to itself, and so is an encoding mistake.
func decodeText(dst, raw []byte) ([]byte, textFault) {
	for i := 0; i < len(raw); i++ {
		if len(dst) == cap(dst) {
			return dst, textTooLong
		}
		c := raw[i]
		switch c {
		case '+':
			c = ' '
		case '#':
			return dst, textFragment
		case '%':
			if i+2 >= len(raw) {
				return dst, textBadEscape
			}
			hi, lo := unhex[raw[i+1]], unhex[raw[i+2]]
			if hi == notHex || lo == notHex {
				return dst, textBadEscape
			}
			c = hi<<4 | lo
			i += 2
		}
		dst = append(dst, c)
	}
	if !utf8.Valid(dst) {
		return dst, textBadUTF8
	}
	return dst, textFine
}

const notHex = 0xff

var unhex = func() (t [256]byte) {
	for i := range t {
		t[i] = notHex
	}
	for c := byte('0'); c <= '9'; c++ {
		t[c] = c - '0'
	}
	for c := byte('a'); c <= 'f'; c++ {
		t[c], t[c-'a'+'A'] = c-'a'+10, c-'a'+10
	}
	return t
}()
