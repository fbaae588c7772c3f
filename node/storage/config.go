package storage

import (
	"fmt"

	"viakv/ring/keyspace"
)

// Config of a store. The zero value is usable.
type Config struct {
	// Seed of the hash: equal on all nodes of a cluster.
	Seed keyspace.Seed

	// DigestKey is the secret of the digests, equal on all nodes of a cluster. Without it a client could build sets of keys
	// and versions that differ and look equal.
	DigestKey [2]uint64

	// MaxBytes is the memory at which Full says so; zero is no limit. The limit is soft by what is in flight. It counts what
	// Bytes counts: a process needs more, for its Go heap. An extent is 128 KiB and serves one size of blocks, so a limit below
	// some 16 MiB is reached by the first few thousand keys.
	MaxBytes int64

	// HugePages asks the system for large pages: a third less time for a lookup among millions of keys, and twice
	// the time for a page's first touch.
	HugePages bool
}

// Validate reports what is wrong with the configuration.
func (c Config) Validate() error {
	if c.MaxBytes < 0 {
		return fmt.Errorf("storage: a memory limit of %d bytes: use a positive number, or 0 for none", c.MaxBytes)
	}
	return nil
}
