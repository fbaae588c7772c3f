package storage

import (
	"viakv/quorum/replica"
	"viakv/ring/keyspace"
)

// Purge removes each key's record if it is the tombstone given, and returns how many it removed. It
// is not stamped: whoever calls it has agreed on the tombstones with everyone else. A list is
// purged key by key, each under its shard's lock.
func (s *Store) Purge(tombstones []replica.Tombstone) (removed int) {
	for i := range tombstones {
		t := &tombstones[i]
		if h := s.cfg.Seed.Hash(t.Key); t.Tag.Removed && s.shard(h).purge(h, t) {
			removed++
		}
	}
	return removed
}

func (s *shard) purge(h keyspace.Hash, t *replica.Tombstone) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := s.table.find(h, t.Key)
	if at.slot < 0 {
		return false
	}
	have := at.record()
	if have.Tag != t.Tag {
		return false
	}
	s.table.remove(h, at, &have)
	return true
}
