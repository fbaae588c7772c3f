package storage

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"viakv/quorum/replica"
	"viakv/quorum/version"
)

// A bucket that cannot be split below the longest block is a chain: slow, and correct (S6).
func TestChains(t *testing.T) {
	s := newStore(testConfig, 1<<30) // never splits
	defer s.Close()
	keys := crowded(300)
	value := strings.Repeat("v", 900)
	for round := range 3 {
		for i, key := range keys {
			if !put(t, s, key, live(uint64(1+round), value[:900-i-round])) {
				t.Fatalf("round %d: %q was not stored", round, key)
			}
		}
		if st := s.Stats(); st.Chained < 5 || st.Keys != 300 {
			t.Fatalf("%+v", st)
		}
		verify(t, s)
	}
	// A record that no longer fits its block moves to another one.
	for i, key := range keys {
		if i%5 == 0 {
			put(t, s, key, live(9, strings.Repeat("w", 2000)))
		}
	}
	verify(t, s)
	var b Bucket
	copyTo(t, s, testSeed.Hash([]byte(keys[0])).Rank(), &b)
	n := 0
	for e := range b.entries {
		if want := 2000; e.Record.Tag.Counter == 9 && len(e.Record.Value) != want {
			t.Fatalf("%q has %d bytes", e.Key, len(e.Record.Value))
		}
		n++
	}
	if n != 300 {
		t.Fatalf("the copy has %d entries", n)
	}
	s.space.target = 1000 // from now on the table splits, and its chains with it
	put(t, s, keys[0], live(10, "v"))
	for range 200 {
		put(t, s, keys[1], live(10+s.Stats().Buckets, "v"))
	}
	verify(t, s)
	s.space.target = 1 << 30 // from now on it merges again, into chains
	for i, key := range keys {
		put(t, s, key, dead(1000, 1))
		verifyEvery(t, s, i, 50)
	}
	var list []replica.Tombstone
	for _, key := range keys {
		list = append(list, purgeOf(key, dead(1000, 1)))
	}
	if got, err := s.Purge(0, list); got != len(keys) || err != nil {
		t.Fatalf("purged %d, %v", got, err)
	}
	verify(t, s)
	if st := s.Stats(); st.Chained != 0 || st.Extents.InUse != 0 {
		t.Fatalf("%+v", st)
	}
}

// Blocks leave a chain from its head, from its tail and from its middle.
func TestChainsComeApartInAnyOrder(t *testing.T) {
	keys := crowded(300)
	for name, arrange := range map[string]func([]string){
		"first in, first out": func([]string) {},
		"last in, first out":  slices.Reverse[[]string],
		"the middle first":    func(k []string) { slices.Reverse(k[:len(k)*2/3]) },
		"shuffled": func(k []string) {
			r := rand.New(rand.NewPCG(3, 4))
			r.Shuffle(len(k), func(i, j int) { k[i], k[j] = k[j], k[i] })
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(testConfig, 1<<30)
			defer s.Close()
			rec := dead(1, 1)
			rec.Vector = make(version.Vector, version.MaxVectorBytes)
			for _, key := range keys {
				put(t, s, key, rec)
			}
			if st := s.Stats(); st.Chained < 3 {
				t.Fatalf("%+v", st)
			}
			order := slices.Clone(keys)
			arrange(order)
			s.space.target = 0 // keeps the table from merging, which would rebuild the chain
			for i, key := range order {
				if purgeOne(s, key, rec) != 1 {
					t.Fatalf("%q was not purged", key)
				}
				verifyEvery(t, s, i, 80)
			}
			verify(t, s)
			if st := s.Stats(); st.Chained != 0 || st.Extents.InUse != 0 {
				t.Fatalf("%+v", st)
			}
		})
	}
}

func verifyEvery(t *testing.T, s *Store, i, n int) {
	if i%n == 0 {
		verify(t, s)
	}
}
