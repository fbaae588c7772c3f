package stateless

import "unicode/utf8"

// Successor returns the smallest valid UTF-8 text above every text with the prefix, and false when
// there is none. In UTF-8 the order of bytes is the order of characters. So Successor serves
// databases that compare bytes and databases that compare characters.
func Successor(prefix string) (string, bool) {
	for len(prefix) > 0 {
		r, n := utf8.DecodeLastRuneInString(prefix)
		prefix = prefix[:len(prefix)-n]
		switch {
		case r == utf8.MaxRune:
			continue // no character is above this one, so the one before it must grow
		case r == 0xd7ff:
			r = 0xe000 // surrogates are no characters
		default:
			r++
		}
		return prefix + string(r), true
	}
	return "", false
}
