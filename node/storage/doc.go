// Package storage keeps one node's copy of all records in memory. One structure, the bucket, serves
// lookups, scans and the comparison of replicas.
//
//	Store ── 256 shards, one per partition: lock, epoch, generation
//	           └ table: linear hashing, grown and shrunk by one bucket at a time
//	               └ bucket: digest and a block of packed records, of about 4 KiB
//	                   └ block: package packed, in memory of package extent
//
// A bucket at any level of linear hashing is one interval of ranks (package keyspace). So a walk
// over buckets in the order of ranks neither misses nor repeats a key, whatever buckets split and
// merge meanwhile. Two nodes whose tables are in different states of growth can still compare any
// interval.
//
// Invariants, cited by number elsewhere:
//
//	S1. An operation that is stamped with an epoch (Get, Tag, Put, Vote, Warm, Copy, Digest,
//	    Walk, Page, Tombstones, Purge) runs under its shard's lock, and only if the shard is at
//	    that epoch. An operation that reads several shards takes one after the other, and fails at
//	    the first that is at another epoch. So once Advance has returned, no operation with
//	    another stamp takes effect or reads. What was read at an epoch holds no change that a purge
//	    or a clear of a later epoch has made.
//	S2. A shard holds records of its own generation only. Epoch and generation never go down.
//	S3. What a shard holds of a key is version.Merge of everything that was put since the last
//	    purge of the key. Put never refuses for lack of memory: repair must be able to bring an
//	    acknowledged write to a full node, too. Full is for callers that begin a write.
//	S4. After every operation a bucket's digest is the sum over its records, and a table's digest
//	    is the sum over its buckets.
//	S5. A slice into a block does not outlive the lock: a freed block serves another bucket at
//	    once (extent E1). What leaves the package is a copy.
//	S6. A bucket has one block. It has a chain of blocks only when its records exceed
//	    packed.MaxBytes, which takes keys that collide in many bits of a keyed hash (keyspace K1).
//	    A chain is slow, and correct.
//	S7. A hash given to an operation is that of its key under the store's seed. A wrong hash
//	    stores a record where it is no longer found after a split.
//
// Locks: a shard's lock is taken before those of extent. No lock is held while code of a caller
// runs: a walk visits a copy.
//
// The package does not log. The only goroutine that it starts frees what a clear has swapped out;
// Close waits for it.
package storage
