package storage

import (
	"viakv/quorum/replica"
	"viakv/quorum/version"
	"viakv/ring/keyspace"
)

// Purge removes each key's record if it is the given tombstone, and returns how many it has
// removed. The caller has agreed on the tombstones with all members, for this epoch. Purge takes
// key by key, each under its shard's lock. At the first shard that is at another epoch it stops
// with replica.ErrEpoch.
func (s *Store) Purge(epoch version.Epoch, tombstones []replica.Tombstone) (removed int, err error) {
	for i := range tombstones {
		t := &tombstones[i]
		if !t.Tag.Removed {
			continue
		}
		h := s.space.seed.Hash(t.Key)
		gone, err := s.shard(h).purge(epoch, h, t)
		if err != nil {
			return removed, err
		}
		if gone {
			removed++
		}
	}
	return removed, nil
}

func (s *shard) purge(epoch version.Epoch, h keyspace.Hash, t *replica.Tombstone) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.epoch != epoch {
		return false, replica.ErrEpoch
	}
	at := s.table.find(h, t.Key)
	if at.slot < 0 {
		return false, nil
	}
	have := at.record()
	if have.Tag != t.Tag {
		return false, nil
	}
	s.table.remove(h, at, &have)
	return true, nil
}
