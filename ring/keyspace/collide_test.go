package keyspace_test

import (
	"math/rand/v2"
	"testing"
	"unicode/utf8"

	"viakv/ring/keyspace"
	"viakv/ring/keyspace/keyspacetest"
)

// K1: keys that xxhash64 hashes alike under nearly every seed are ordinary keys for this hash. No
// two of them share a rank, and no bucket of a table of the right size gets many of them.
func TestKeysMadeToCollideDoNot(t *testing.T) {
	keys := keyspacetest.Colliding(20_000)
	seen := map[string]bool{}
	for _, k := range keys {
		if seen[string(k)] || !utf8.Valid(k) || utf8.RuneCount(k) > 64 {
			t.Fatalf("%q comes twice, or is no valid key", k)
		}
		seen[string(k)] = true
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 5 {
		seed := keyspace.Seed{random.Uint64(), random.Uint64()}
		ranks, buckets := map[keyspace.Rank]int{}, map[keyspace.Rank]int{}
		for _, k := range keys {
			r := seed.Hash(k).Rank()
			ranks[r]++
			buckets[r>>54]++ // 1,024 buckets of about 20 keys
		}
		most, fullest := 0, 0
		for _, n := range ranks {
			most = max(most, n)
		}
		for _, n := range buckets {
			fullest = max(fullest, n)
		}
		if most > 1 || fullest > 100 {
			t.Errorf("seed %x: %d keys share a rank, %d a bucket", seed, most, fullest)
		}
	}
}

func TestPlaces(t *testing.T) {
	r := keyspace.Range{From: 10, To: 20}
	for _, c := range []struct {
		place          keyspace.Place
		passed, within bool // passed: the key m at rank 15; within: the range r
		ends           bool // the range r
	}{
		{keyspace.Place{Rank: 10}, false, false, false},
		{keyspace.Place{Rank: 10, Key: []byte("a")}, false, true, false},
		{keyspace.Place{Rank: 15}, false, true, false},
		{keyspace.Place{Rank: 15, Key: []byte("l")}, false, true, false},
		{keyspace.Place{Rank: 15, Key: []byte("m")}, true, true, false},
		{keyspace.Place{Rank: 16}, true, true, false},
		{keyspace.Place{Rank: 20}, true, false, true},
		{keyspace.Place{Rank: 20, Key: []byte("a")}, true, false, false},
	} {
		if c.place.Passed(15, []byte("m")) != c.passed || c.place.Within(r) != c.within || c.place.Ends(r) != c.ends {
			t.Errorf("%d %q: passed %v, within %v, ends %v", c.place.Rank, c.place.Key, !c.passed, !c.within, !c.ends)
		}
	}
	at := keyspace.Place{Rank: 15, Key: []byte("m")}
	for _, c := range []struct {
		next keyspace.Place
		want bool
	}{
		{at, false},
		{keyspace.Place{Rank: 15}, false},
		{keyspace.Place{Rank: 15, Key: []byte("n")}, true},
		{keyspace.Place{Rank: 16}, true},
		{keyspace.Place{Rank: 20}, true},
		{keyspace.Place{Rank: 20, Key: []byte("a")}, false},
		{keyspace.Place{Rank: 9, Key: []byte("z")}, false},
	} {
		if got := c.next.Beyond(at, r); got != c.want {
			t.Errorf("%d %q beyond 15 \"m\": %v", c.next.Rank, c.next.Key, got)
		}
	}
	if end := (keyspace.Place{}); !end.Beyond(at, keyspace.Range{From: 10}) || !end.Ends(keyspace.All()) {
		t.Error("the zero place is not the end of all ranks")
	}
}
