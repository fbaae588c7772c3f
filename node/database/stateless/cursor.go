package stateless

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"

	"viakv/api/kv"
	"viakv/quorum/version"
)

// CursorKeyBytes is the length of the key that seals cursors.
const CursorKeyBytes = 32

const (
	cursorVersion  = 1
	cursorMACBytes = 16 // half of SHA-256: a forgery takes 2^127 tries on average, each a request
	maxCursorText  = 512
)

// Seal makes and checks cursors. It is safe for concurrent use.
//
//	cursor = base64url( version 1 | generation, uvarint | last key delivered | MAC, 16 bytes )
//
// The MAC covers everything before it. The key of the item is in the clear: a client that holds a
// cursor was given that key before.
type Seal struct {
	key []byte
}

// NewSeal returns the seal of a store that keeps this key.
func NewSeal(key []byte) *Seal { return &Seal{key: append([]byte(nil), key...)} }

// NewCursorKey returns a random key for a new store.
func NewCursorKey() []byte {
	k := make([]byte, CursorKeyBytes)
	rand.Read(k) //nolint:errcheck // it never fails since Go 1.24: the runtime stops the process instead
	return k
}

// Cursor returns the text that resumes a scan of the generation behind the key after.
func (s *Seal) Cursor(g version.Generation, after []byte) string {
	b := make([]byte, 0, 1+binary.MaxVarintLen64+len(after)+cursorMACBytes)
	b = append(b, cursorVersion)
	b = binary.AppendUvarint(b, uint64(g))
	b = append(b, after...)
	b = s.appendMAC(b, b)
	return kv.EncodeCursor(b)
}

// open returns what a cursor holds, or kv.ErrBadCursor with the reason.
func (s *Seal) open(text string) (g version.Generation, after []byte, err error) {
	if len(text) > maxCursorText {
		return 0, nil, kv.Detail(kv.ErrBadCursor, "it is longer than any that this store gives out")
	}
	b, ok := kv.DecodeCursor(text)
	if !ok || len(b) < 2+cursorMACBytes {
		return 0, nil, kv.Detail(kv.ErrBadCursor, "it is damaged: it is not what the last page gave")
	}
	body, mac := b[:len(b)-cursorMACBytes], b[len(b)-cursorMACBytes:]
	if !hmac.Equal(mac, s.appendMAC(nil, body)) {
		return 0, nil, kv.Detail(kv.ErrBadCursor, "it is damaged, or another store's")
	}
	if body[0] != cursorVersion {
		return 0, nil, kv.Detail(kv.ErrBadCursor, "it is of version %d, and this node reads version %d", body[0], cursorVersion)
	}
	u, n := binary.Uvarint(body[1:])
	if n <= 0 {
		return 0, nil, kv.Detail(kv.ErrBadCursor, "it is damaged")
	}
	return version.Generation(u), body[1+n:], nil
}

func (s *Seal) appendMAC(dst, body []byte) []byte {
	h := hmac.New(sha256.New, s.key)
	h.Write(body)
	var sum [sha256.Size]byte
	return append(dst, h.Sum(sum[:0])[:cursorMACBytes]...)
}
