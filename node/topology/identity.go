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

// ClusterID names a cluster. Its founder draws it at random. Zero means no cluster.
type ClusterID uint64

func (c ClusterID) String() string { return fmt.Sprintf("%016x", uint64(c)) }

// MarshalText writes the ID in hexadecimal: a JSON number of 64 bits would lose digits in other
// languages.
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

// Secret is the key of a message authentication code.
type Secret [16]byte

// String hides the secret, since it may end up in a log.
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

// OperationID identifies one request for a change, however often the request is sent (E5).
type OperationID struct {
	BootID   uint64 `json:"boot"` // of the process that asked
	Sequence uint64 `json:"sequence"`
}

func (o OperationID) String() string { return fmt.Sprintf("%016x#%d", o.BootID, o.Sequence) }

// Identity is what identifies a node during one membership.
type Identity struct {
	Name string            `json:"name"`
	HTTP string            `json:"http"` // address for clients
	Peer transport.Address `json:"peer"`
	// BootID is random, and fresh for every membership: it proves that no memory was carried over
	// (M2).
	BootID uint64 `json:"boot"`
}

// NewRandom returns a generator that r seeds, or the system when r is nil. It is a strong one: a
// cluster's secrets are drawn from it beside IDs that all nodes see. Those IDs must not tell the
// numbers that come before and after them.
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

// NewBootID draws a boot ID. It never returns zero, which stands for no process.
func NewBootID(r *rand.Rand) uint64 {
	for {
		if b := r.Uint64(); b != 0 {
			return b
		}
	}
}
