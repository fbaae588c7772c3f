package node

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"viakv/node/topology"
)

// shownBytes is the length of what is shown of a digest's sums.
const shownBytes = 8

// showDigest renders a digest for people: equal where the digests are. The sums themselves stay
// secret: they are made of keys' hashes by a function that is fast and not meant to hide them.
func showDigest(d [32]byte, secret topology.Secret) string {
	records, tombstones := binary.LittleEndian.Uint64(d[0:]), binary.LittleEndian.Uint64(d[8:])
	return fmt.Sprintf("%d records (%d tombstones) %s", records, tombstones, showSums(d, secret))
}

// showSums renders a digest without its counts.
func showSums(d [32]byte, secret topology.Secret) string {
	key, err := hkdf.Expand(sha256.New, secret[:], "viakv shown digest", sha256.Size)
	if err != nil {
		panic("node: " + err.Error()) // the length is a constant, and allowed
	}
	h := hmac.New(sha256.New, key)
	h.Write(d[:])
	return hex.EncodeToString(h.Sum(nil)[:shownBytes])
}
