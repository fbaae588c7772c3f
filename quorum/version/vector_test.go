package version

import (
	"encoding/binary"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func everyone(Incarnation) bool { return true }

func encode(entries ...Entry) (v Vector) {
	for _, e := range entries {
		v = binary.AppendUvarint(v, uint64(e.Incarnation))
		v = binary.AppendUvarint(v, e.Counter)
	}
	return v
}

// Seen keeps the highest counter of each incarnation. Below its bound it behaves like a map.
func TestSeenIsAJoin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		oracle := map[Incarnation]uint64{}
		note := func(i Incarnation, c uint64) { oracle[i] = max(oracle[i], c) }
		var s Seen
		for range rapid.IntRange(0, 12).Draw(t, "records") {
			r := Record{Tag: Tag{0, rapid.Uint64Range(0, 300).Draw(t, "counter"), Incarnation(rapid.Uint64Range(1, 8).Draw(t, "incarnation")), false}}
			for _, i := range slices.Sorted(slices.Values(rapid.SliceOfNDistinct(rapid.Uint64Range(1, 8), 0, 4, rapid.ID).Draw(t, "vector"))) {
				r.Vector = append(r.Vector, encode(Entry{Incarnation(i), rapid.Uint64Range(1, 300).Draw(t, "seen")})...)
			}
			s.Add(&r)
			if r.Tag.Counter == 0 {
				continue
			}
			note(r.Tag.Incarnation, r.Tag.Counter)
			for _, e := range r.Vector.Entries() {
				note(e.Incarnation, e.Counter)
			}
		}
		writer := Incarnation(rapid.Uint64Range(1, 8).Draw(t, "writer"))
		v := Vector(s.Append(nil, writer, everyone))
		if !v.Check() {
			t.Fatalf("%v is malformed", v)
		}
		delete(oracle, writer)
		got := map[Incarnation]uint64{}
		for _, e := range v.Entries() {
			got[e.Incarnation] = e.Counter
		}
		if !maps.Equal(got, oracle) {
			t.Fatalf("%v, want %v", got, oracle)
		}
		for i := range Incarnation(10) {
			if v.Counter(i) != oracle[i] {
				t.Fatalf("counter of %d: %d, want %d", i, v.Counter(i), oracle[i])
			}
		}
	})
}

func TestDepartedIncarnationsCollapse(t *testing.T) {
	var s Seen
	for i := range 6 {
		s.Add(&Record{Tag: Tag{0, uint64(10 * (i + 1)), Incarnation(i + 1), false}})
	}
	member := func(i Incarnation) bool { return i == 2 || i == 5 }
	v := Vector(s.Append(nil, 5, member))
	// The incarnations 1, 3, 4 and 6 have departed: the highest of their counters stays. The writer
	// has no entry in the vector, since its tag holds it.
	if got := v.String(); got != "{2:20 6:60}" {
		t.Fatal(got)
	}
	s.Reset()
	if v = s.Append(nil, 1, everyone); len(v) != 0 {
		t.Fatalf("after a reset: %v", v)
	}
}

func TestVectorsAreBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s Seen
		counters := rapid.Permutation(seq(40)).Draw(t, "counters")
		for i, c := range counters {
			s.Add(&Record{Tag: Tag{0, c, Incarnation(i + 1), false}})
		}
		v := Vector(s.Append(nil, 1000, everyone))
		if !v.Check() || len(v.Entries()) != MaxVectorEntries {
			t.Fatalf("%v", v)
		}
		// The entries with the lowest counters were dropped.
		for _, e := range v.Entries() {
			if e.Counter <= 40-MaxVectorEntries {
				t.Fatalf("%v keeps %d", v, e.Counter)
			}
		}
	})
}

func seq(n int) (s []uint64) {
	for i := range n {
		s = append(s, uint64(i+1))
	}
	return s
}

func TestTheLongestVectorPasses(t *testing.T) {
	var s Seen
	for i := range MaxVectorEntries {
		s.Add(&Record{Tag: Tag{0, ^uint64(i), ^Incarnation(i), false}})
	}
	v := Vector(s.Append(nil, 1, everyone))
	if len(v) != MaxVectorBytes || !v.Check() {
		t.Fatalf("%d bytes, passes: %v", len(v), v.Check())
	}
}

func TestCheckRefuses(t *testing.T) {
	var full []Entry
	for i := range MaxVectorEntries + 1 {
		full = append(full, Entry{Incarnation(i + 1), 1})
	}
	for name, v := range map[string]Vector{
		"incarnation zero":   encode(Entry{0, 1}),
		"counter zero":       encode(Entry{1, 0}),
		"descending":         encode(Entry{2, 1}, Entry{1, 1}),
		"twice":              encode(Entry{2, 1}, Entry{2, 3}),
		"cut in a pair":      encode(Entry{2, 1})[:1],
		"cut in a number":    {0x80},
		"cut in the counter": {1, 0x80},
		"too many":           encode(full...),
		"too long":           make(Vector, MaxVectorBytes+1),
		"over 64 bits":       {1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
	} {
		if v.Check() {
			t.Errorf("%s: %v passes", name, v)
		}
		_ = v.Entries() // this and the calls below must return
		_ = v.Counter(5)
		var s Seen
		s.Add(&Record{Tag: Tag{0, 1, 1, false}, Vector: v})
	}
	if !(Vector{}).Check() || !encode(full[:MaxVectorEntries]...).Check() {
		t.Error("a good vector does not pass")
	}
}

func TestSeenDoesNotAllocate(t *testing.T) {
	r := Record{Tag: Tag{0, 9, 3, false}, Vector: encode(Entry{1, 4}, Entry{2, 5})}
	dst := make([]byte, 0, MaxVectorBytes)
	if n := testing.AllocsPerRun(100, func() {
		var s Seen
		s.Add(&r)
		_ = s.Append(dst, 3, everyone)
	}); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}
