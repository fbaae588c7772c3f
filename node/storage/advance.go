package storage

import (
	"sync/atomic"

	"viakv/quorum/version"
)

// Advance moves every partition to an epoch. If the generation is higher than a partition's, it
// also empties the partition, in constant time: it swaps in an empty table, and the memory is freed
// in the background. An epoch or a generation lower than a partition's leaves the partition's as it
// is (S2).
//
// After the return no operation with an older stamp is under way. While Advance runs, partitions
// differ. An operation on one key or one bucket does not notice. Digest fails where it meets
// another epoch.
func (s *Store) Advance(epoch version.Epoch, gen version.Generation) {
	var old []table
	var bytes int64
	for i := range s.shards {
		t, swapped := s.shards[i].advance(epoch, gen, &s.leaving)
		switch {
		case swapped && t.digest.Records > 0:
			bytes += t.blocks
			old = append(old, t)
		case swapped:
			t.free()
		}
	}
	if len(old) == 0 {
		return
	}
	s.background.Go(func() {
		for i := range old {
			old[i].free()
		}
		s.leaving.Add(-bytes)
	})
}

// advance returns the table that was swapped out, if any.
func (s *shard) advance(epoch version.Epoch, gen version.Generation, leaving *atomic.Int64) (old table, swapped bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.epoch = max(s.epoch, epoch)
	if gen <= s.generation {
		return table{}, false
	}
	s.generation = gen
	old, s.table = s.table, newTable(s.table.space)
	leaving.Add(old.blocks)
	return old, true
}
