package version

import (
	"bytes"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// drawRecord draws one of the copies of a key that can meet. Everything but the owner of a
// tombstone follows from the tag (V1, V2).
func drawRecord(t *rapid.T, label string) Record {
	r := Record{Tag: drawTag(t, label)}
	if r.Tag.Counter == 0 {
		return Record{}
	}
	r.Vector = Vector{byte(r.Tag.Incarnation) + 1, byte(r.Tag.Counter)}
	if !r.Tag.Removed {
		r.Value = []byte(r.Tag.String())
		return r
	}
	if i := rapid.Uint64Range(0, 2).Draw(t, label+" owner"); i > 0 {
		r.Owner = Operation{Incarnation(i), 7}
	}
	return r
}

func same(a, b Record) bool {
	return a.Tag == b.Tag && a.Owner == b.Owner && bytes.Equal(a.Vector, b.Vector) && bytes.Equal(a.Value, b.Value)
}

// V3: Merge is commutative, associative and idempotent. It returns no tag below those it was given.
func TestMergeIsALeastUpperBound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := drawRecord(t, "a"), drawRecord(t, "b"), drawRecord(t, "c")
		if x, y := Merge(a, b), Merge(b, a); !same(x, y) {
			t.Fatalf("not commutative: %+v and %+v", x, y)
		}
		if x, y := Merge(Merge(a, b), c), Merge(a, Merge(b, c)); !same(x, y) {
			t.Fatalf("not associative: %+v and %+v", x, y)
		}
		if x := Merge(a, a); !same(x, a) {
			t.Fatalf("not idempotent: %+v", x)
		}
		if x := Merge(a, b); !same(Merge(x, a), x) || x.Tag.Less(a.Tag) || x.Tag.Less(b.Tag) {
			t.Fatalf("%+v is not above both", x)
		}
		if x := Merge(a, Record{}); !same(x, a) {
			t.Fatalf("the absent record changes %+v to %+v", a, x)
		}
	})
}

// V3: replicas that saw the same copies, in any order and any number of times, agree.
func TestReplicasConverge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		copies := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Record { return drawRecord(t, "copy") }), 1, 8).Draw(t, "copies")
		fold := func(seen []Record) (r Record) {
			for _, c := range seen {
				r = Merge(r, c)
			}
			return r
		}
		want := fold(copies)
		again := append(slices.Clone(copies), rapid.SliceOf(rapid.SampledFrom(copies)).Draw(t, "repeated")...)
		if got := fold(rapid.Permutation(again).Draw(t, "order")); !same(got, want) {
			t.Fatalf("%+v and %+v", want, got)
		}
	})
}

// A store calls Changes when it does not have the record itself. The answer must agree with Merge.
func TestChangesForeseesMerge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		have, r := drawRecord(t, "have"), drawRecord(t, "new")
		want := !same(Merge(have, r), have)
		if got := Changes(have.Tag, have.Owner, r.Tag, r.Owner); got != want {
			t.Fatalf("%v of %v into %v of %v: %v, merge says %v", r.Tag, r.Owner, have.Tag, have.Owner, got, want)
		}
	})
}

func TestMergeOfTombstonesWithOtherOwners(t *testing.T) {
	tag := Tag{1, 2, 3, true}
	a, b := Record{Tag: tag, Owner: Operation{1, 1}}, Record{Tag: tag, Owner: Operation{2, 1}}
	if got := Merge(a, b); got.Owner != Contested || got.Tag != tag {
		t.Fatalf("%+v", got)
	}
	if got := Merge(Merge(a, b), a); got.Owner != Contested {
		t.Fatalf("after a third copy the owner is %v again, want contested", got.Owner)
	}
}

func TestCloneSharesNothing(t *testing.T) {
	r := Record{Tag: Tag{1, 2, 3, false}, Vector: Vector{4, 5}, Value: []byte("value")}
	c := r.Clone()
	r.Vector[0], r.Value[0] = 9, 'X'
	if !same(c, Record{Tag: r.Tag, Vector: Vector{4, 5}, Value: []byte("value")}) || !c.Live() {
		t.Fatalf("%+v", c)
	}
}

func TestConflicts(t *testing.T) {
	write := func(counter uint64, by Incarnation, saw ...*Record) *Record {
		var s Seen
		for _, r := range saw {
			s.Add(r)
		}
		return &Record{Tag: Tag{1, counter, by, false}, Vector: s.Append(nil, by, func(Incarnation) bool { return true })}
	}
	removed := func(r *Record) *Record {
		c := *r
		c.Tag = r.Tag.Tombstone()
		return &c
	}
	first := write(1, 1)
	second := write(2, 2, first)
	third := write(3, 3, second)
	rival := write(2, 3, first)
	cleared := &Record{Tag: Tag{2, 1, 9, false}}
	for name, c := range map[string]struct {
		a, b         *Record
		aSawB, bSawA bool
	}{
		"itself":                  {first, first, true, true},
		"an overwrite":            {first, second, false, true},
		"two steps":               {first, third, false, true},
		"blind writes":            {second, rival, false, false},
		"one writer, two writes":  {first, write(5, 1), false, true},
		"nothing and a write":     {&Record{}, first, false, true},
		"a version and its end":   {first, removed(first), true, true},
		"an end and a write over": {removed(first), second, false, true},
		"across a clear":          {third, cleared, false, true},
	} {
		if c.a.saw(c.b.Tag) != c.aSawB || c.b.saw(c.a.Tag) != c.bSawA {
			t.Errorf("%s: seen %v, and the other way %v", name, c.a.saw(c.b.Tag), c.b.saw(c.a.Tag))
		}
		if want := !c.aSawB && !c.bSawA; Conflict(c.a, c.b) != want || Conflict(c.b, c.a) != want {
			t.Errorf("%s: a conflict: %v, and the other way %v", name, Conflict(c.a, c.b), Conflict(c.b, c.a))
		}
	}
}

// V4: whatever the vectors say, the tags decide.
func TestVectorsDoNotDecide(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawRecord(t, "a"), drawRecord(t, "b")
		x := Merge(a, b)
		a.Vector, b.Vector = nil, Vector{1, 99}
		if y := Merge(a, b); y.Tag != x.Tag || y.Owner != x.Owner {
			t.Fatalf("with other vectors %v of %v instead of %v of %v", y.Tag, y.Owner, x.Tag, x.Owner)
		}
	})
}
