package version

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// drawTag draws a tag from few values, so that equal tags, and a tag with its tombstone, come up.
func drawTag(t *rapid.T, label string) Tag {
	g := rapid.Uint64Range(0, 2)
	return Tag{Generation(g.Draw(t, label+" generation")), g.Draw(t, label+" counter"), Incarnation(g.Draw(t, label+" incarnation")),
		rapid.Bool().Draw(t, label+" removed")}
}

// V1: the order is total, and a tombstone follows right after its base.
func TestTagsAreTotallyOrdered(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := drawTag(t, "a"), drawTag(t, "b"), drawTag(t, "c")
		if (a.Compare(b) == 0) != (a == b) {
			t.Fatalf("%v and %v compare as %d", a, b, a.Compare(b))
		}
		if a.Compare(b) != -b.Compare(a) || a.Less(b) != (a.Compare(b) < 0) {
			t.Fatalf("%v and %v: %d and %d", a, b, a.Compare(b), b.Compare(a))
		}
		if a.Less(b) && b.Less(c) && !a.Less(c) {
			t.Fatalf("%v < %v < %v, but the first is not below the last", a, b, c)
		}
		base, tomb := a, a.Tombstone()
		base.Removed = false
		if !base.Less(tomb) {
			t.Fatalf("%v is not below its tombstone", base)
		}
		if base.Less(b) && b.Less(tomb) {
			t.Fatalf("%v lies between %v and its tombstone", b, base)
		}
	})
}

func TestTagOrder(t *testing.T) {
	ascending := []Tag{
		{},
		{0, 1, 1, false},
		{0, 1, 1, true},
		{0, 1, 2, false},
		{0, 2, 1, false},
		{1, 1, 1, false},
		{1, 1, 1, true},
	}
	if !slices.IsSortedFunc(ascending, Tag.Compare) {
		t.Fatal("not ascending")
	}
	for i := range ascending[1:] {
		if !ascending[i].Less(ascending[i+1]) {
			t.Errorf("%v is not below %v", ascending[i], ascending[i+1])
		}
	}
}

func TestTagKinds(t *testing.T) {
	for _, c := range []struct {
		tag        Tag
		zero, live bool
		text       string
	}{
		{Tag{}, true, false, "absent"},
		{Tag{1, 2, 3, false}, false, true, "1.2@3"},
		{Tag{1, 2, 3, true}, false, false, "1.2@3✗"},
		{Tag{Generation: 1}, false, false, "1.0@0"},
	} {
		if r := (Record{Tag: c.tag}); c.tag.IsZero() != c.zero || r.Live() != c.live || c.tag.String() != c.text {
			t.Errorf("%v: zero %v, live %v", c.tag, c.tag.IsZero(), r.Live())
		}
	}
	if s := (Operation{3, 4}).String() + " " + Contested.String(); s != "3#4 contested" {
		t.Error(s)
	}
}
