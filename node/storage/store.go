package storage

import (
	"fmt"
	"sync"
	"sync/atomic"

	"viakv/node/storage/extent"
	"viakv/quorum/version"
	"viakv/ring/keyspace"
)

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

// Store keeps one node's copy of all records. Its methods, except Close, are safe for concurrent
// use. They block only for locks, each of which is held for the copy or the change of one bucket.
type Store struct {
	cfg        Config // kept whole: without it shards begins elsewhere, and a set is a tenth slower
	space      space
	background sync.WaitGroup // frees what was swapped out
	leaving    atomic.Int64   // bytes that background has yet to free
	shards     [keyspace.Partitions]shard
}

// shard is one partition.
type shard struct {
	mu         sync.RWMutex
	epoch      version.Epoch
	generation version.Generation
	table      table
	_          [64]byte // keeps the lock of a shard off the cache lines of its neighbour
}

// space is what all tables of a store share.
type space struct {
	pool        *extent.Pool
	seed        keyspace.Seed
	key         digestKey
	target      int64        // bytes in use of a bucket, on average
	headerBytes atomic.Int64 // bytes of bucket headers
}

// bucketTarget is the knee of the measured curve. Smaller buckets make scans slower and double the
// number of leaves to compare. Larger ones move more bytes at every change of a length.
const bucketTarget = 4096

// New returns an empty store at epoch and generation zero.
func New(cfg Config) (*Store, error) {
	if cfg.MaxBytes < 0 {
		return nil, fmt.Errorf("storage: a memory limit of %d bytes: use a positive number, or 0 for none", cfg.MaxBytes)
	}
	return newStore(cfg, bucketTarget), nil
}

func newStore(cfg Config, target int64) *Store {
	s := &Store{cfg: cfg, space: space{pool: extent.New(cfg.HugePages), seed: cfg.Seed, key: cfg.DigestKey, target: target}}
	for i := range s.shards {
		s.shards[i].table = newTable(&s.space)
	}
	return s
}

// closed is the epoch of a closed store. No operation is stamped with it.
const closed = ^version.Epoch(0)

// Close gives the memory back. From now on an operation that is stamped with an epoch is refused
// (S1). No call of another kind may be under way or follow.
func (s *Store) Close() {
	s.Advance(closed, 0)
	s.background.Wait()
	s.space.pool.Close()
}

func (s *Store) shard(h keyspace.Hash) *shard { return &s.shards[h.Partition()] }

// Bytes returns the memory that the limit counts: the extents in use, including the free blocks in
// them, and the bucket headers.
func (s *Store) Bytes() int64 { return s.space.pool.InUse() + s.space.headerBytes.Load() }

// Full reports whether the limit is reached, so that no new write should begin (S3). What a clear
// has swapped out no longer counts, although it takes a moment to free it.
func (s *Store) Full() bool {
	return s.cfg.MaxBytes > 0 && s.Bytes()-s.leaving.Load() >= s.cfg.MaxBytes
}
