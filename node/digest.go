package node

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"viakv/node/topology"
	"viakv/quorum/replica"
)

// shownBytes is the length of what is shown of a digest's sums.
const shownBytes = 8

// showDigest renders a digest for people: equal where the digests are. The sums themselves stay
// secret: they are made of keys' hashes by a function that is fast and not meant to hide them.
func showDigest(d replica.Digest, secret topology.Secret) string {
	return fmt.Sprintf("%d records (%d tombstones) %s", d.Records, d.Tombstones, showSums(d, secret))
}

// showSums renders a digest without its counts.
func showSums(d replica.Digest, secret topology.Secret) string {
	key, err := hkdf.Expand(sha256.New, secret[:], "viakv shown digest", sha256.Size)
	if err != nil {
		panic("node: " + err.Error()) // the length is a constant, and allowed
	}
	h := hmac.New(sha256.New, key)
	h.Write(d.Append(nil))
	return hex.EncodeToString(h.Sum(nil)[:shownBytes])
}
