package storage

import "viakv/node/storage/extent"

// Stats is a store's state.
type Stats struct {
	Keys        uint64 // records with a value
	Tombstones  uint64
	Bytes       int64 // what the limit counts: Extents.InUse and HeaderBytes
	DataBytes   int64 // keys, metadata and values of all records, tombstones included
	UsedBytes   int64 // DataBytes, and the lengths and directories in the blocks
	HeaderBytes int64 // bytes of bucket headers
	Leaving     int64 // bytes of blocks that a clear has swapped out and that are not yet freed
	Buckets     uint64
	// Chained is the number of blocks beyond the first of their bucket. More than a few mean
	// colliding hashes.
	Chained uint64
	Extents extent.Stats
}

// Stats returns the store's state. It takes the partitions one after the other.
func (s *Store) Stats() Stats {
	r := Stats{Leaving: s.leaving.Load(), HeaderBytes: s.space.headerBytes.Load(), Extents: s.space.pool.Stats()}
	r.Bytes = r.Extents.InUse + r.HeaderBytes
	for i := range s.shards {
		s.shards[i].addTo(&r)
	}
	return r
}

func (s *shard) addTo(r *Stats) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	t := &s.table
	r.Keys += t.digest.Records - t.digest.Tombstones
	r.Tombstones += t.digest.Tombstones
	r.DataBytes += t.data
	r.UsedBytes += t.used
	r.Buckets += t.count()
	r.Chained += uint64(len(t.links))
	for i := t.spare; i != 0; i = t.links[i-1].next {
		r.Chained--
	}
}
