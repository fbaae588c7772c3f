package replica

import (
	"errors"
	"slices"
	"testing"

	"viakv/api/kv"
	"viakv/quorum/version"
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

// A clock is never behind what it has seen, and gives out no counter twice.
func TestClock(t *testing.T) {
	var c Clock
	c.Observe(7)
	c.Observe(3)
	if n := c.Next(); n != 8 || c.Now() != 8 {
		t.Errorf("gave out %d, stands at %d", n, c.Now())
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
