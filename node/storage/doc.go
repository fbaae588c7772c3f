// Package storage keeps one node's copy of all records in memory. One structure serves lookups,
// scans and the comparison of replicas: the bucket.
//
//	Store ── 256 shards, one per partition: lock, epoch, generation
//	           └ table: linear hashing, grown and shrunk by one bucket at a time
//	               └ bucket: digest and a block of packed records, of about 4 KiB
//	                   └ block: package packed, in memory of package extent
//
// A bucket at any level of linear hashing is one interval of ranks (package keyspace), so a walk
// over buckets in the order of ranks neither misses nor repeats a key, whatever splits and merges
// meanwhile; and two nodes whose tables are in different states of growth still compare any
// interval.
//
// Invariants, cited by number elsewhere:
//
//	S1. An operation that is stamped with an epoch (Get, Tag, Put, PutIf, Vote, Copy, Digest, Walk,
//	    Page, Tombstones, Purge) runs under its shard's lock and only if the shard is at that epoch.
//	    What reads several shards takes one after the other, and fails at one that is not. So once
//	    Advance has returned, nothing stamped otherwise takes effect or reads, and what was read at
//	    an epoch holds nothing that a purge or a clear of a later one has changed.
//	S2. A shard holds records of its own generation alone. Epoch and generation never go down.
//	S3. What a shard holds of a key is version.Merge of everything that was put, since the last
//	    purge of the key. Put never refuses for lack of memory: an acknowledged write is repaired
//	    onto a full node, too. Full is for those who begin a write.
//	S4. Digest: a bucket's is the sum over its records, a table's the sum over its buckets, after
//	    every operation.
//	S5. A slice into a block does not outlive the lock: freed blocks serve other buckets at once
//	    (extent E1). What leaves the package was copied.
//	S6. A bucket has one block. Only when its records exceed packed.MaxBytes, which takes keys that
//	    collide in many bits of a keyed hash (keyspace K1), a chain of blocks: slow, and correct.
//	S7. A hash given to an operation is that of its key under the store's seed. A wrong one stores a
//	    record where a split no longer finds it.
//
// Locks: shard before extent. No lock is held while anything of a caller runs: a walk visits a
// copy.
//
// The package does not log and starts no goroutine but the one that frees what a clear swapped out;
// Close waits for it.
package storage
