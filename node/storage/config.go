package storage

import "viakv/ring/keyspace"

// Config configures a store. The zero value is usable.
type Config struct {
	// Seed is the seed of the hash. It is equal on all nodes of a cluster.
	Seed keyspace.Seed

	// DigestKey is the secret of the digests. It is equal on all nodes of a cluster. Without it a
	// client could build sets of keys and versions that differ and have equal digests.
	DigestKey [2]uint64

	// MaxBytes is the memory in bytes from which on Full returns true; zero means no limit. Writes
	// in flight can exceed the limit. It counts what Bytes counts; a process needs more, for its Go
	// heap. An extent is 128 KiB and serves blocks of one size, so the first few thousand keys
	// already reach a limit below some 16 MiB.
	MaxBytes int64

	// HugePages asks the system for large pages. Without it the system's own default holds. With
	// large pages a lookup among millions of keys takes a third less time, and the first touch of a
	// page takes twice the time.
	HugePages bool
}
