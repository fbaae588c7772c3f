package topology

import (
	cryptorand "crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strconv"

	"viakv/node/transport"
)

// ClusterID names a cluster: random, chosen by its founder. Zero is no cluster.
type ClusterID uint64

func (c ClusterID) String() string { return fmt.Sprintf("%016x", uint64(c)) }

// MarshalText writes the id in hexadecimal: a JSON number of 64 bits would lose digits in other languages.
func (c ClusterID) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (c *ClusterID) UnmarshalText(b []byte) error {
	x, err := strconv.ParseUint(string(b), 16, 64)
	if err != nil {
		return fmt.Errorf("topology: cluster id %q: %w", b, err)
	}
	*c = ClusterID(x)
	return nil
}

// Secret keys a message authentication code.
type Secret [16]byte

// String hides the secret: it may end in a log.
func (s Secret) String() string { return "secret" }

// MarshalText writes the secret in hexadecimal.
func (s Secret) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, s[:]), nil }

// UnmarshalText reads what MarshalText wrote.
func (s *Secret) UnmarshalText(b []byte) error {
	if len(b) != hex.EncodedLen(len(s)) {
		return fmt.Errorf("topology: secret of %d digits, want %d", len(b), hex.EncodedLen(len(s)))
	}
	_, err := hex.Decode(s[:], b)
	return err
}

// OperationID identifies one request for a change, however often it is sent (E5).
type OperationID struct {
	BootID   uint64 `json:"boot"` // of the process that asked
	Sequence uint64 `json:"sequence"`
}

func (o OperationID) String() string { return fmt.Sprintf("%016x#%d", o.BootID, o.Sequence) }

// Identity is who a node is for the length of one life in a cluster.
type Identity struct {
	Name   string            `json:"name"`
	HTTP   string            `json:"http"`
	Peer   transport.Address `json:"peer"`
	BootID uint64            `json:"boot"` // random and fresh for every life: the proof that no memory came along (M2)
}

// NewRandom returns a generator that r seeds, or, where r is nil, the system. It is a strong one:
// a cluster's secrets are drawn from it beside ids that everybody sees, and those must not tell
// which numbers come before and after them.
func NewRandom(r *rand.Rand) *rand.Rand {
	var seed [32]byte
	if r == nil {
		cryptorand.Read(seed[:]) //nolint:errcheck // it never fails: the runtime stops the process instead
	} else {
		for i := 0; i < len(seed); i += 8 {
			binary.LittleEndian.PutUint64(seed[i:], r.Uint64())
		}
	}
	return rand.New(rand.NewChaCha8(seed))
}

// NewBootID draws a boot id. Zero is nobody.
func NewBootID(r *rand.Rand) uint64 {
	for {
		if b := r.Uint64(); b != 0 {
			return b
		}
	}
}
