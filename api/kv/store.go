package kv

import (
	"context"
	"encoding/base64"
	"strconv"
	"time"

	"viakv/quorum/version"
)

// The limits of keys and values: in Unicode characters, and in the bytes that these can take in
// UTF-8.
const (
	MaxKeyCharacters   = 64
	MaxValueCharacters = 256
	MaxKeyBytes        = 4 * MaxKeyCharacters
	MaxValueBytes      = 4 * MaxValueCharacters
)

// MaxMembers bounds a mesh. Every member holds every key and asks every other, so all members pay
// for one more.
const MaxMembers = 32

// Store keeps keys and values.
type Store interface {
	// Get appends the key's value to dst and returns it with the version it was read at. It returns
	// ErrMissing when the key has no value.
	Get(ctx context.Context, dst, key []byte, o Options) ([]byte, version.Tag, error)
	// GetMany looks up keys, each by itself, as Get does: some may be found and others not. It sets
	// the value and the version, or the error, of each. The values lie in dst, which it extends and
	// returns, or in memory of their own. A batch is some thousand keys at most.
	GetMany(ctx context.Context, dst []byte, reads []Read, o Options) []byte
	// Has is Get without the value.
	Has(ctx context.Context, key []byte, o Options) (version.Tag, error)
	// Set stores a value and returns the version of this write.
	Set(ctx context.Context, key, value []byte, o Options) (version.Tag, error)
	// SetMany stores values of different keys, each by itself, as Set does: some may be stored and
	// others not. It sets the version and the error of each. A batch is some thousand values at
	// most. Without a deadline each step of it has the default time-out.
	SetMany(ctx context.Context, writes []Write, o Options)
	// Remove removes the key's value, and returns ErrMissing when there is none. Of overlapping
	// removes of one value at most one succeeds.
	Remove(ctx context.Context, key []byte, o Options) error
	// Clear removes everything, atomically. Once it has returned, no read returns anything that was
	// written before it began.
	Clear(ctx context.Context, o Options) error
	// Scan begins or resumes a walk over all keys. It returns ErrBadCursor when the cursor is not
	// one of this store's.
	Scan(ctx context.Context, o ScanOptions) (Scanner, error)
	// Ready returns nil when the store can serve, and otherwise the reason why it cannot.
	Ready(ctx context.Context) error
}

// Read is one key of a batch.
type Read struct {
	Key     []byte
	Value   []byte      // set by the store
	Version version.Tag // at which it was read; set by the store
	Err     error       // ErrMissing, or why the key was not read, or nil; set by the store
}

// Write is one value of a batch.
type Write struct {
	Key, Value []byte
	Version    version.Tag // of the write; set by the store
	Err        error       // why it is not known to be stored, or nil; set by the store
}

// Quorum is how many replicas a phase waits for: a number, QuorumDefault, QuorumMajority or
// QuorumAll.
type Quorum int

// The quorums that are not a number.
const (
	QuorumDefault  Quorum = 0 // what the cluster is configured to
	QuorumMajority Quorum = -1
	QuorumAll      Quorum = -2
)

func (q Quorum) String() string {
	switch q {
	case QuorumAll:
		return "all"
	case QuorumDefault, QuorumMajority:
		return "quorum"
	}
	return strconv.Itoa(int(q))
}

// MaxQuorum bounds the numbers that a request may give as r and w. Only the store knows how many
// replicas there are.
const MaxQuorum = 1000

// ParseQuorum returns the quorum that a user has named: "quorum", "all" or a number from 1 to
// MaxQuorum, without a sign and without leading zeros. The parameters r and w and the flags of the
// same names accept this and nothing else.
func ParseQuorum(s string) (q Quorum, ok bool) {
	switch s {
	case "quorum":
		return QuorumMajority, true
	case "all":
		return QuorumAll, true
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > MaxQuorum || strconv.Itoa(n) != s {
		return QuorumDefault, false
	}
	return Quorum(n), true
}

// Options are those of one request.
type Options struct {
	R, W     Quorum    // how many replicas are asked and written; stores without quorums ignore them
	Deadline time.Time // zero: the store's default time-out from now
	Trace    Trace     // the trace that the request is part of; zero: none
}

// ScanOptions are those of one scan.
type ScanOptions struct {
	Options
	Cursor   string // where to resume; empty: at the beginning
	Values   bool   // false: keys only
	Prefix   string // only keys that begin with it; empty: all keys
	Snapshot bool   // fail with ErrSnapshotMoved at the end unless the result was one atomic state
}

// Scanner walks over the keys of a store in the store's own order. It is not safe for concurrent
// use.
//
// Each key that has a value throughout the scan is delivered exactly once. Each pair delivered was
// the key's state at some moment of the scan. The scan as a whole is no snapshot unless asked for.
type Scanner interface {
	// Next replaces the batch by the next pairs. It returns false at the end, and never an empty
	// batch with true.
	Next(ctx context.Context, b *Batch) (bool, error)
	// Cursor returns where a later scan resumes after the first n pairs of the last batch. It is
	// empty when nothing follows.
	Cursor(n int) string
	// Close releases the scanner's resources. It must be called.
	Close()
}

// Pair is a key and its value. The value is nil when only keys were asked for.
type Pair struct {
	Key, Value []byte
	Version    version.Tag
}

// Batch is a run of pairs. Its memory is reused by the scanner's next call.
type Batch struct {
	Pairs []Pair
	Arena []byte // where the scanner may keep what the pairs point to
}

// Reset empties the batch and keeps its memory.
func (b *Batch) Reset() { b.Pairs, b.Arena = b.Pairs[:0], b.Arena[:0] }

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
