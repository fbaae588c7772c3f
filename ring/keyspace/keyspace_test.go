package keyspace

import (
	"math/rand/v2"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"viakv/ring/keyspace/keyspacetest"
)

func TestRankOrderIsBucketOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := Hash(rapid.Uint64().Draw(t, "hash"))
		level := uint(rapid.IntRange(0, 40).Draw(t, "level"))
		p, r := h.Partition(), h.Rank()
		if r.Partition() != p {
			t.Fatalf("rank %x lies in partition %d, its hash in %d", r, r.Partition(), p)
		}
		i := uint64(h) & (1<<level - 1)
		if got := r.Index(level); got != i {
			t.Fatalf("index at level %d: %d, want the hash's low bits %d", level, got, i)
		}
		if b := p.Bucket(level, i); !b.Contains(r) {
			t.Fatalf("bucket %d at level %d is %v and misses %x", i, level, b, r)
		}
		if !p.Whole().Covers(p.Bucket(level, i)) {
			t.Fatalf("bucket %d at level %d sticks out of partition %d", i, level, p)
		}
	})
}

func TestSplitHalvesTheRange(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := Partition(rapid.IntRange(0, Partitions-1).Draw(t, "partition"))
		level := uint(rapid.IntRange(0, 30).Draw(t, "level"))
		i := rapid.Uint64Range(0, 1<<level-1).Draw(t, "bucket")
		whole, low, high := p.Bucket(level, i), p.Bucket(level+1, i), p.Bucket(level+1, i+1<<level)
		if low.From != whole.From || low.To != high.From || high.To != whole.To {
			t.Fatalf("%v split into %v and %v", whole, low, high)
		}
	})
}

func TestPartitionsAreOrderedAndAllUsed(t *testing.T) {
	seen := map[Partition]int{}
	last := Partition(0)
	for i := range uint64(4096) {
		p := Hash(i << 52).Partition()
		if p < last || p >= Partitions {
			t.Fatalf("partition %d after %d", p, last)
		}
		last = p
		seen[p]++
	}
	if len(seen) != Partitions {
		t.Fatalf("%d of %d partitions are used", len(seen), Partitions)
	}
	if last := Partition(Partitions - 1).Whole(); last.To != 0 || !last.Contains(^Rank(0)) {
		t.Fatalf("the last partition is %v", last)
	}
}

// The layout is part of the protocol, so a change of it needs a new version of the protocol.
func TestGolden(t *testing.T) {
	for _, c := range []struct {
		key  string
		hash Hash
		rank Rank
	}{
		{"a", 0x3e5f804cf7c0a1c5, 0x50a38503ef3201fa},
		{"key-1", 0xfccab20c574bd564, 0xfd26abd2ea304d53},
		{"ключ", 0x687cc2bc67d9c85f, 0x7efa139be63d433e},
	} {
		h := (Seed{42, 43}).Hash([]byte(c.key))
		if h != c.hash || h.Rank() != c.rank {
			t.Errorf("{%q, %#x, %#x}", c.key, uint64(h), uint64(h.Rank()))
		}
	}
}

func TestHashDoesNotAllocate(t *testing.T) {
	key := []byte("a key of some length")
	if n := testing.AllocsPerRun(100, func() { _ = Seed{7}.Hash(key) }); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}

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
		seed := Seed{random.Uint64(), random.Uint64()}
		ranks, buckets := map[Rank]int{}, map[Rank]int{}
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
	r := Range{From: 10, To: 20}
	for _, c := range []struct {
		place          Place
		passed, within bool // passed: the key m at rank 15; within: the range r
		ends           bool // the range r
	}{
		{Place{Rank: 10}, false, false, false},
		{Place{Rank: 10, Key: []byte("a")}, false, true, false},
		{Place{Rank: 15}, false, true, false},
		{Place{Rank: 15, Key: []byte("l")}, false, true, false},
		{Place{Rank: 15, Key: []byte("m")}, true, true, false},
		{Place{Rank: 16}, true, true, false},
		{Place{Rank: 20}, true, false, true},
		{Place{Rank: 20, Key: []byte("a")}, true, false, false},
	} {
		if c.place.Passed(15, []byte("m")) != c.passed || c.place.Within(r) != c.within || c.place.Ends(r) != c.ends {
			t.Errorf("%d %q: passed %v, within %v, ends %v", c.place.Rank, c.place.Key, !c.passed, !c.within, !c.ends)
		}
	}
	at := Place{Rank: 15, Key: []byte("m")}
	for _, c := range []struct {
		next Place
		want bool
	}{
		{at, false},
		{Place{Rank: 15}, false},
		{Place{Rank: 15, Key: []byte("n")}, true},
		{Place{Rank: 16}, true},
		{Place{Rank: 20}, true},
		{Place{Rank: 20, Key: []byte("a")}, false},
		{Place{Rank: 9, Key: []byte("z")}, false},
	} {
		if got := c.next.Beyond(at, r); got != c.want {
			t.Errorf("%d %q beyond 15 \"m\": %v", c.next.Rank, c.next.Key, got)
		}
	}
	if end := (Place{}); !end.Beyond(at, Range{From: 10}) || !end.Ends(All()) {
		t.Error("the zero place is not the end of all ranks")
	}
}
