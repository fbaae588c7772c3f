package storage

import (
	"testing"

	"pgregory.net/rapid"

	"viakv/quorum/replica"
	"viakv/ring/keyspace"
	"viakv/ring/keyspace/keyspacetest"
)

// warm checks that warming changes nothing, whatever a store holds of the keys.
func (x *machine) warm(t *rapid.T) {
	x.s.background.Wait() // what a clear has swapped out is freed meanwhile
	before := x.s.Stats()
	var hashes []keyspace.Hash
	for range rapid.IntRange(0, 2*replica.MaxWarm).Draw(t, "hashes") {
		hashes = append(hashes, testSeed.Hash(x.drawKey(t)))
	}
	x.s.Warm(x.m.epoch, hashes)
	x.s.Warm(x.m.epoch+1, hashes)
	if after := x.s.Stats(); after != before {
		t.Fatalf("%+v, before %+v", after, before)
	}
}

// Warming may come late: at a closed store, of which the memory is gone, it does nothing. Long
// chains of blocks do not trouble it.
func TestWarmingAClosedStore(t *testing.T) {
	s := newStore(testConfig, bucketTarget)
	var hashes []keyspace.Hash
	for _, key := range keyspacetest.Colliding(600) {
		put(t, s, string(key), live(1, "value"))
		hashes = append(hashes, testSeed.Hash(key))
	}
	s.Warm(0, hashes)
	s.Close()
	s.Warm(0, hashes)
	s.Warm(closed, nil)
}
