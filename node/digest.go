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

// shownBytes is how many bytes of a digest's keyed hash are shown.
const shownBytes = 8

// showDigest renders a digest for people. Equal digests are rendered alike. The sums themselves
// stay secret: a fast function that does not hide keys makes them from the hashes of the keys.
func showDigest(d replica.Digest, secret topology.Secret) string {
	return fmt.Sprintf("%d records (%d tombstones) %s", d.Records, d.Tombstones, showSums(d, secret))
}

// showSums renders a digest without its counts, as a keyed hash.
func showSums(d replica.Digest, secret topology.Secret) string {
	key, err := hkdf.Expand(sha256.New, secret[:], "viakv shown digest", sha256.Size)
	if err != nil {
		panic("node: " + err.Error()) // cannot happen: the length is a constant that HKDF allows
	}
	h := hmac.New(sha256.New, key)
	h.Write(d.Append(nil))
	return hex.EncodeToString(h.Sum(nil)[:shownBytes])
}
