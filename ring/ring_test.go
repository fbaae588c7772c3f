package ring

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/cockroachdb/datadriven"

	"viakv/ring/keyspace"
)

func names(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("node-%d", i+1)
	}
	return out
}

// Placement is frozen (R3): a change of it changes the preference lists of every running cluster.
func TestPlacementIsFrozen(t *testing.T) {
	datadriven.RunTest(t, "testdata/placement", func(t *testing.T, d *datadriven.TestData) string {
		var n int
		d.ScanArgs(t, "members", &n)
		var b strings.Builder
		s := Build(names(n))
		fmt.Fprintln(&b, strings.Join(s.Members(), " "))
		for p := range keyspace.Partition(keyspace.Partitions) {
			fmt.Fprintf(&b, "%3d %v\n", p, s.Preference(p))
		}
		return b.String()
	})
}

func members() *rapid.Generator[[]string] {
	return rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z#0-9-]{1,12}`), 1, 24, rapid.ID[string])
}

func TestSnapshotProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		set := members().Draw(t, "members")
		s := Build(set)
		if !slices.IsSorted(s.Members()) || len(s.Members()) != len(set) {
			t.Fatalf("members %q of %q", s.Members(), set)
		}
		shuffled := rapid.Permutation(set).Draw(t, "shuffled")
		again := Build(append(shuffled, set[0])) // R1: another order, and one duplicate
		total := 0.0
		for i := range s.Members() {
			total += s.Ownership(i)
			if s.Ownership(i) > load/float64(len(set))+1.0/keyspace.Partitions {
				t.Fatalf("member %d owns %.3f of the ring of %d", i, s.Ownership(i), len(set))
			}
		}
		if total < 0.999 || total > 1.001 {
			t.Fatalf("ownership adds up to %f", total)
		}
		for p := range keyspace.Partition(keyspace.Partitions) {
			list := s.Preference(p)
			if list[0] != s.Owner(p) {
				t.Fatalf("partition %d: owner %d, list %v", p, s.Owner(p), list)
			}
			if !slices.Equal(list, again.Preference(p)) {
				t.Fatalf("partition %d depends on the order of the members", p)
			}
			sorted := slices.Sorted(slices.Values(list))
			for i, m := range sorted {
				if m != i {
					t.Fatalf("partition %d: %v is no permutation of %d members", p, list, len(set))
				}
			}
			if len(list) != len(set) {
				t.Fatalf("partition %d lists %d of %d members", p, len(list), len(set))
			}
		}
	})
}

// R4: when one member joins, the partitions that it owns must move. Beyond these, only those may
// move that the bound on the load pushes on to another member.
func TestFewPartitionsMove(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		set := members().Draw(t, "members")
		before := Build(set)
		after := Build(append(slices.Clone(set), "the-new-one"))
		moved := 0
		for p := range keyspace.Partition(keyspace.Partitions) {
			if before.Members()[before.Owner(p)] != after.Members()[after.Owner(p)] {
				moved++
			}
		}
		fair := keyspace.Partitions / (len(set) + 1)
		if limit := 2*fair + keyspace.Partitions/4; moved > limit {
			t.Fatalf("%d of %d partitions moved when one joined %d; want at most %d", moved, keyspace.Partitions, len(set), limit)
		}
	})
}

// The partitions of a dead owner must not all fall to one successor.
func TestSuccessorsAreSpread(t *testing.T) {
	s := Build(names(5))
	second := map[int]map[int]int{}
	for p := range keyspace.Partition(keyspace.Partitions) {
		list := s.Preference(p)
		if second[list[0]] == nil {
			second[list[0]] = map[int]int{}
		}
		second[list[0]][list[1]]++
	}
	for owner, successors := range second {
		if len(successors) < 3 {
			t.Errorf("the partitions of member %d fall to only these successors: %v", owner, successors)
		}
	}
}

// Package consistent joins names and numbers without a separator. Without the separator of this
// package, the three members would share points.
func TestNamesThatEndInDigits(t *testing.T) {
	s := Build([]string{"node-1", "node-11", "node-111"})
	for i, name := range s.Members() {
		if s.Ownership(i) < 0.15 {
			t.Errorf("%s owns %.2f", name, s.Ownership(i))
		}
	}
	seen := map[uint64]bool{}
	for _, p := range newCircle(s.Members()) {
		if seen[p.at] {
			t.Errorf("two points at %x", p.at)
		}
		seen[p.at] = true
	}
}

func TestEdges(t *testing.T) {
	empty := Build(nil)
	if empty.Owner(7) != -1 || len(empty.Preference(7)) != 0 || len(empty.Members()) != 0 {
		t.Errorf("empty ring: owner %d, list %v", empty.Owner(7), empty.Preference(7))
	}
	full := Build(names(MaxMembers))
	for i := range full.Members() {
		if full.Ownership(i)*keyspace.Partitions > 2 {
			t.Errorf("member %d owns %f of a full ring", i, full.Ownership(i))
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("a ring of more members than partitions was built")
		}
	}()
	Build(names(MaxMembers + 1))
}

func BenchmarkBuild(b *testing.B) {
	set := names(5)
	for b.Loop() {
		Build(set)
	}
}
