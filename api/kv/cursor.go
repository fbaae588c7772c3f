package kv

import "encoding/base64"

// EncodeCursor makes a cursor's text of what a store keeps in it: base64 in the URL alphabet, unpadded.
func EncodeCursor(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// CursorSize is how long the text of a cursor of n bytes is.
func CursorSize(n int) int { return base64.RawURLEncoding.EncodedLen(n) }

// DecodeCursor undoes EncodeCursor. It takes no second spelling of the same bytes: neither stray bits at the end, nor the line ends that
// encoding/base64 skips.
func DecodeCursor(text string) (b []byte, ok bool) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	return b, err == nil && len(text) == CursorSize(len(b))
}
