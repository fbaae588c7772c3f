package replica

import (
	"slices"
	"testing"

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
