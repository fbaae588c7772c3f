package replica

import (
	"errors"
	"slices"
	"testing"

	"viakv/api/kv"
	"viakv/quorum/version"
	"viakv/quorum/watermark"
)

// The members of a view: which may answer, which has a process, and which are other members than
// this node.
func TestMembersOfAView(t *testing.T) {
	over := make(chan struct{})
	v := &View{Self: 1, Slots: 3, Superseded: over, Members: []Member{
		{Name: "a", Incarnation: 1}, {Name: "b", Pending: 7}, {Name: "c"}, {Name: "d", Pending: 9},
	}}
	var others []string
	for m := range v.Others() {
		others = append(others, m.Name)
	}
	if !slices.Equal(others, []string{"a", "d"}) {
		t.Errorf("the others are %v", others)
	}
	for m := range v.Others() { // a loop that ends early
		if m.Name != "a" {
			t.Errorf("%s comes first", m.Name)
		}
		break
	}
	if me := v.Me(); me.Name != "b" || me.Active() || me.Holder() != 7 || v.Incarnation() != 0 {
		t.Errorf("this node is %+v", me)
	}
	for i, want := range map[version.Incarnation]bool{0: false, 1: true, 7: true, 8: false, 9: true} {
		if v.Knows(i) != want {
			t.Errorf("knows %d: %v", i, !want)
		}
	}
	if v.Self = 3; v.Me().Name != "d" || v.Me().Active() || len(slices.Collect(v.Others())) != 2 {
		t.Errorf("the node that is joining is %+v", v.Me())
	}
	if v.Self = -1; v.Me().Holder() != 0 || v.Incarnation() != 0 {
		t.Errorf("a node that is no member is %+v", v.Me())
	}
	if v.Over() {
		t.Error("over before it is")
	}
	if close(over); !v.Over() {
		t.Error("not over when it is")
	}
}

// A record is confirmed by its number and the watermark of the incarnation that has numbered it: a
// tombstone by that of its remove, not by that of the value that it removes.
func TestWhatIsConfirmed(t *testing.T) {
	v := &View{Members: []Member{{Incarnation: 3}}, Counter: new(watermark.Counter), Marks: new(watermark.Marks)}
	v.Counter.Observe(9)
	open := v.Counter.Take() // 10
	v.Counter.Take().Close() // 11
	v.Marks.Learn(5, 20)
	v.Marks.Saw(version.Operation{Incarnation: 5, Sequence: 21})
	value := func(i version.Incarnation, n uint64) version.Record {
		return version.Record{Tag: version.Tag{Counter: n, Incarnation: i}}
	}
	tombstone := func(of version.Record, i version.Incarnation, n uint64) version.Record {
		return version.Record{Tag: of.Tag.Tombstone(), Owner: version.Operation{Incarnation: i, Sequence: n}}
	}
	contested := tombstone(value(5, 1), 0, 0)
	for name, c := range map[string]struct {
		r    version.Record
		want bool
	}{
		"nothing": {version.Record{}, false}, "a contested tombstone": {contested, false}, "of an unknown incarnation": {value(6, 1), false},
		"its own": {value(3, 9), true}, "its own, open": {value(3, 10), false}, "its own, above an open one": {value(3, 11), false},
		"another's": {value(5, 19), true}, "at the watermark": {value(5, 20), false}, "seen complete": {value(5, 21), true},
		"removed by a complete remove": {tombstone(value(6, 1), 5, 19), true}, "removed by an open remove": {tombstone(value(5, 1), 3, 10), false},
	} {
		if got := v.Confirmed(&c.r); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	open.Close()
	if r := value(3, 11); !v.Confirmed(&r) {
		t.Error("not confirmed once nothing is open")
	}
}

func TestQuorumsAsAsked(t *testing.T) {
	v := &View{Slots: 5, R: 2, W: 4}
	for asked, want := range map[kv.Quorum][2]int{
		kv.QuorumDefault: {2, 4}, kv.QuorumMajority: {3, 3}, kv.QuorumAll: {5, 5}, 1: {1, 1}, 5: {5, 5}, 6: {},
	} {
		r, err := v.ReadQuorum(asked)
		w, err2 := v.WriteQuorum(asked)
		var read, write *kv.ArgumentError
		switch {
		case want[0] == 0:
			if !errors.As(err, &read) || !errors.As(err2, &write) || read.Parameter != "r" || write.Parameter != "w" {
				t.Errorf("%v: %v, %v", asked, err, err2)
			}
		case r != want[0] || w != want[1] || err != nil || err2 != nil:
			t.Errorf("%v: %d %v, %d %v", asked, r, err, w, err2)
		}
	}
}

// views is a replica.Views of one view.
type views struct{ *View }

func (v views) Current() *View { return v.View }

func TestOnlyAnActiveMemberServes(t *testing.T) {
	active := &View{Members: []Member{{Incarnation: 7}}}
	for _, v := range []*View{nil, {Self: -1}, {Members: []Member{{Pending: 7}}}} {
		if got, err := Serving(views{v}); got != nil || !errors.Is(err, kv.ErrUnavailable) {
			t.Errorf("%+v: %v, %v", v, got, err)
		}
	}
	if got, err := Serving(views{active}); got != active || err != nil {
		t.Errorf("%v, %v", got, err)
	}
}
