package quorum

import (
	"bytes"
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"

	"viakv/api/kv"
	"viakv/quorum/version"
	"viakv/ring/keyspace"
)

// place is a position in the order of rank and key: after the key at the rank, or, with an empty key, before everything at the rank.
type place struct {
	rank keyspace.Rank
	key  []byte
}

// passed reports whether the place lies behind a record, so that a walk that goes on there leaves it out.
func (p place) passed(rank keyspace.Rank, key []byte) bool {
	if c := cmp.Compare(rank, p.rank); c != 0 {
		return c < 0
	}
	return len(p.key) > 0 && bytes.Compare(key, p.key) <= 0
}

// within reports whether the place cuts a range: something in it has been passed.
func (p place) within(r keyspace.Range) bool {
	return r.Contains(p.rank) && (p.rank > r.From || len(p.key) > 0)
}

// A cursor, in base64 (URL alphabet, unpadded):
//
//	version (1) | cluster (8) | generation (8) | rank (8) | key | code (16)
//
// The code authenticates all that precedes it together with the options that shape the result: a cursor serves the scan it was made in. It is
// keyed with the cluster's secret, so every member can check it, and nobody else can make one: a rank chosen at will would tell a client about the
// secret hash.
const (
	cursorVersion = 1
	cursorHead    = 1 + 8 + 8 + 8
	cursorCode    = 16
)

func appendCursor(p place, cluster uint64, secret [16]byte, g version.Generation, o *kv.ScanOptions) string {
	b := make([]byte, 0, cursorHead+len(p.key)+cursorCode)
	b = append(b, cursorVersion)
	b = binary.LittleEndian.AppendUint64(b, cluster)
	b = binary.LittleEndian.AppendUint64(b, uint64(g))
	b = binary.LittleEndian.AppendUint64(b, uint64(p.rank))
	b = append(b, p.key...)
	b = append(b, cursorMAC(b, secret, o)...)
	return kv.EncodeCursor(b)
}

func parseCursor(s string, cluster uint64, secret [16]byte, g version.Generation, o *kv.ScanOptions) (place, error) {
	if len(s) > kv.CursorSize(cursorHead+kv.MaxKeyBytes+cursorCode) {
		return place{}, kv.Detail(kv.ErrBadCursor, "it is too long")
	}
	b, ok := kv.DecodeCursor(s)
	if !ok || len(b) < cursorHead+cursorCode {
		return place{}, kv.Detail(kv.ErrBadCursor, "it is damaged")
	}
	body, code := b[:len(b)-cursorCode], b[len(b)-cursorCode:]
	switch {
	case body[0] != cursorVersion:
		return place{}, kv.Detail(kv.ErrBadCursor, "it is damaged, or another version's")
	case binary.LittleEndian.Uint64(body[1:]) != cluster:
		return place{}, kv.Detail(kv.ErrBadCursor, "it is another cluster's")
	case !hmac.Equal(code, cursorMAC(body, secret, o)):
		return place{}, kv.Detail(kv.ErrBadCursor, "it is damaged, or of a scan with other parameters")
	case version.Generation(binary.LittleEndian.Uint64(body[9:])) != g:
		return place{}, kv.Detail(kv.ErrBadCursor, "the store was cleared since it was made")
	}
	return place{rank: keyspace.Rank(binary.LittleEndian.Uint64(body[17:])), key: body[cursorHead:]}, nil
}

// cursorMAC authenticates a cursor's body and the options that it goes with.
func cursorMAC(body []byte, secret [16]byte, o *kv.ScanOptions) []byte {
	h := hmac.New(sha256.New, secret[:])
	var flags byte
	if o.Values {
		flags |= 1
	}
	h.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(body))))
	h.Write(body)
	h.Write([]byte{flags})
	h.Write([]byte(o.Prefix))
	return h.Sum(nil)[:cursorCode]
}
