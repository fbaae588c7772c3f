package keyspace

import (
	"testing"

	"pgregory.net/rapid"
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
