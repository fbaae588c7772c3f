package kv

import "encoding/base64"

// EncodeCursor returns the text of a cursor that holds these bytes: base64 in the URL alphabet,
// unpadded.
func EncodeCursor(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// CursorSize returns the length of the text of a cursor of n bytes.
func CursorSize(n int) int { return base64.RawURLEncoding.EncodedLen(n) }

// DecodeCursor reverses EncodeCursor. It accepts one spelling only of the same bytes: no stray bits
// at the end, and none of the line ends that encoding/base64 skips.
func DecodeCursor(text string) (b []byte, ok bool) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	return b, err == nil && len(text) == CursorSize(len(b))
}
