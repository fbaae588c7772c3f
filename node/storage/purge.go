package storage

import (
	"iter"

	"viakv/quorum/version"
	"viakv/ring/keyspace"
)

// Tombstone names one tombstone exactly.
type Tombstone struct {
	Hash  keyspace.Hash
	Key   []byte
	Tag   version.Tag
	Owner version.Operation
}

// Purge removes each key's record if it is exactly the tombstone given, and returns how many it
// removed. It is not stamped: whoever calls it has agreed on the tombstones with everyone else.
func (s *Store) Purge(tombstones iter.Seq[Tombstone]) (removed int) {
	for t := range tombstones {
		if t.Tag.Removed && s.shard(t.Hash).purge(&t) {
			removed++
		}
	}
	return removed
}

func (s *shard) purge(t *Tombstone) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := s.table.find(t.Hash, t.Key)
	if at.slot < 0 {
		return false
	}
	have := at.record()
	if have.Tag != t.Tag || have.Owner != t.Owner {
		return false
	}
	s.table.remove(t.Hash, at, &have)
	return true
}
