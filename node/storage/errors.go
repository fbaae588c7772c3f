package storage

import (
	"errors"
	"fmt"

	"viakv/node/storage/packed"
	"viakv/quorum/replica"
	"viakv/quorum/version"
	"viakv/ring/keyspace"
)

// Errors of a store, beside replica.ErrEpoch. Match them with errors.Is.
var (
	// ErrGeneration means that the record is from before a clear, or from after a clear that this
	// store has not seen. Nothing was done (S2).
	ErrGeneration = errors.New("storage: a record of another clear generation")
	// ErrSize means that the key or the record does not fit the store's format. Nothing was done.
	ErrSize = errors.New("storage: a size out of bounds")
	// ErrDrift means that a digest does not match its records (S4). The cause is a bug in this
	// program or a fault of the machine's memory.
	ErrDrift = errors.New("storage: a bucket's digest has drifted from its records")
)

// DriftError is what Check has found: a bucket's range, the digest that was kept, and the digest of
// the bucket's records.
type DriftError struct {
	Range           keyspace.Range
	Kept, Recounted replica.Digest
}

func (e *DriftError) Error() string {
	return fmt.Sprintf("%v: %v holds %v, its digest says %v; rebuild this node from its peers and report it", ErrDrift, e.Range, e.Recounted, e.Kept)
}

// Is makes every DriftError match ErrDrift.
func (e *DriftError) Is(target error) bool { return target == ErrDrift }

// fits checks that a key and its record fit the format.
func fits(key []byte, r *version.Record) error {
	switch {
	case len(key) == 0 || len(key) > packed.MaxKeyBytes:
		return fmt.Errorf("%w: a key of %d bytes, allowed are 1 to %d", ErrSize, len(key), packed.MaxKeyBytes)
	case len(r.Value) > packed.MaxValueBytes:
		return fmt.Errorf("%w: a value of %d bytes, allowed are %d", ErrSize, len(r.Value), packed.MaxValueBytes)
	case len(r.Vector) > version.MaxVectorBytes:
		return fmt.Errorf("%w: a version vector of %d bytes, allowed are %d", ErrSize, len(r.Vector), version.MaxVectorBytes)
	}
	return nil
}
