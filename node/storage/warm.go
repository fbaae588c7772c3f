package storage

import (
	"sync/atomic"

	"viakv/quorum/replica"
	"viakv/quorum/version"
	"viakv/ring/keyspace"
)

// touched keeps the compiler from leaving out the loads of warm.
var touched atomic.Uint64

// Warm implements replica.Store. Looking up a key waits for main memory several times, one wait
// after the other. Here the waits of all keys overlap: no load depends on that of another key. It
// locks a partition once for hashes that follow each other.
func (s *Store) Warm(epoch version.Epoch, hashes []keyspace.Hash) {
	sum := uint64(0)
	for len(hashes) > 0 {
		n := 1
		for n < min(len(hashes), replica.MaxWarm) && hashes[n].Partition() == hashes[0].Partition() {
			n++
		}
		sum += s.shard(hashes[0]).warm(epoch, hashes[:n])
		hashes = hashes[n:]
	}
	if sum == 1 { // it never is
		touched.Add(1)
	}
}

// warm loads of each bucket the header, the first lines of its first block, which have the
// directory, and the last line, behind which a record is appended.
func (s *shard) warm(epoch version.Epoch, hashes []keyspace.Hash) (sum uint64) {
	var chunks [replica.MaxWarm]chunk
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.epoch != epoch { // the memory may be gone (S1)
		return 0
	}
	for i, h := range hashes {
		chunks[i] = s.table.bucket(s.table.index(h)).chunk
	}
	for i := range hashes {
		if c := &chunks[i]; c.cap != 0 {
			b := s.table.bytes(c)
			sum += 2 * (uint64(b[0]) + uint64(b[min(cacheLine, len(b)-1)]) + uint64(b[len(b)-1]))
		}
	}
	return sum
}

// cacheLine is what is loaded together, in bytes.
const cacheLine = 64
