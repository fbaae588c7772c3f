package scan

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"

	"viakv/api/kv"
	"viakv/quorum/version"
	"viakv/ring/keyspace"
)

// A cursor, in base64 (URL alphabet, unpadded):
//
//	version (1) | cluster (8) | code (16) | sealed: generation (8) | rank (8) | key
//
// A rank is most of a key's secret hash. So only the cluster's members may read a rank or make one
// up. The code authenticates everything else in the cursor, and the options that shape the result:
// a cursor serves only the scan that it was made in. The encryption (AES in counter mode) begins
// with the code, too. So there is no nonce that two nodes could use twice under the key that they
// share, and a place always has the same cursor. This is the construction SIV (Rogaway, Shrimpton
// 2006), made of HMAC-SHA-256 and AES-128. The standard library's AEADs need a nonce.
const (
	cursorVersion = 2
	cursorCluster = 1
	cursorCode    = cursorCluster + 8
	cursorSealed  = cursorCode + aes.BlockSize
	cursorKey     = cursorSealed + 8 + 8
)

func appendCursor(p keyspace.Place, cluster uint64, secret [16]byte, g version.Generation, o *kv.ScanOptions) string {
	b := make([]byte, cursorSealed, cursorKey+len(p.Key))
	b[0] = cursorVersion
	binary.LittleEndian.PutUint64(b[cursorCluster:], cluster)
	b = binary.LittleEndian.AppendUint64(b, uint64(g))
	b = binary.LittleEndian.AppendUint64(b, uint64(p.Rank))
	b = append(b, p.Key...)
	s := newCursorSeal(secret)
	copy(b[cursorCode:], s.code(b, o))
	s.encrypt(b)
	return kv.EncodeCursor(b)
}

func parseCursor(text string, cluster uint64, secret [16]byte, g version.Generation, o *kv.ScanOptions) (keyspace.Place, error) {
	if len(text) > kv.CursorSize(cursorKey+kv.MaxKeyBytes) {
		return keyspace.Place{}, kv.Detail(kv.ErrBadCursor, "it is too long")
	}
	b, ok := kv.DecodeCursor(text)
	if !ok || len(b) < cursorKey {
		return keyspace.Place{}, kv.Detail(kv.ErrBadCursor, "it is damaged")
	}
	switch {
	case b[0] != cursorVersion:
		return keyspace.Place{}, kv.Detail(kv.ErrBadCursor, "it is damaged, or another version's")
	case binary.LittleEndian.Uint64(b[cursorCluster:]) != cluster:
		return keyspace.Place{}, kv.Detail(kv.ErrBadCursor, "it is another cluster's")
	}
	s := newCursorSeal(secret)
	s.encrypt(b)
	switch {
	case !hmac.Equal(b[cursorCode:cursorSealed], s.code(b, o)):
		return keyspace.Place{}, kv.Detail(kv.ErrBadCursor, "it is damaged, or of a scan with other parameters")
	case version.Generation(binary.LittleEndian.Uint64(b[cursorSealed:])) != g:
		return keyspace.Place{}, kv.Detail(kv.ErrBadCursor, "the store was cleared since it was made")
	}
	return keyspace.Place{Rank: keyspace.Rank(binary.LittleEndian.Uint64(b[cursorSealed+8:])), Key: b[cursorKey:]}, nil
}

// cursorSeal holds the keys of the codes and of the encryption.
type cursorSeal struct {
	codes []byte
	block cipher.Block
}

// newCursorSeal derives the keys from the cluster's secret.
func newCursorSeal(secret [16]byte) cursorSeal {
	const codeBytes, blockBytes = sha256.Size, 16
	keys, err := hkdf.Expand(sha256.New, secret[:], "viakv scan cursor", codeBytes+blockBytes)
	if err != nil {
		panic("scan: " + err.Error()) // cannot happen: the length is a constant, and allowed
	}
	block, err := aes.NewCipher(keys[codeBytes:])
	if err != nil {
		panic("scan: " + err.Error()) // likewise
	}
	return cursorSeal{keys[:codeBytes], block}
}

// code authenticates a cursor before its encryption, and the options that it belongs to.
func (s cursorSeal) code(b []byte, o *kv.ScanOptions) []byte {
	h := hmac.New(sha256.New, s.codes)
	var flags byte
	if o.Values {
		flags |= 1
	}
	h.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(b))))
	h.Write(b[:cursorCode])
	h.Write(b[cursorSealed:])
	h.Write([]byte{flags})
	h.Write([]byte(o.Prefix))
	return h.Sum(nil)[:cursorSealed-cursorCode]
}

// encrypt encrypts the sealed part of a cursor in place, or decrypts it.
func (s cursorSeal) encrypt(b []byte) {
	cipher.NewCTR(s.block, b[cursorCode:cursorSealed]).XORKeyStream(b[cursorSealed:], b[cursorSealed:])
}
