package peer

import (
	"slices"
	"testing"
	"time"

	"viakv/quorum/lease"
)

// A member knows what the lease of each other one lacks, and that it lacks nothing once it is given
// again.
func TestWhatALeaseLacksIsKnown(t *testing.T) {
	for name, c := range map[string]struct {
		want          lease.Lack
		begins, mends func(w *world)
	}{
		"the member does not answer": {lease.NoAnswer,
			func(w *world) { w.net.Cut(w.nodes[0].address(), w.nodes[1].address()) },
			func(w *world) { w.net.Heal(w.nodes[0].address(), w.nodes[1].address()) }},
		"its answers do not arrive": {lease.NoAnswer,
			func(w *world) { w.net.Cut(w.nodes[1].address(), w.nodes[0].address()) },
			func(w *world) { w.net.Heal(w.nodes[1].address(), w.nodes[0].address()) }},
		"the member is at a later epoch": {lease.OtherEpoch, func(w *world) { w.nodes[1].enter(firstEpoch + 1) }, nil},
		"the member gives none":          {lease.NotGiven, func(w *world) { w.nodes[1].Current().Given.Stop() }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, 3, func(w *world) {
				a := w.nodes[0]
				use := func(d time.Duration) {
					for range d / (100 * time.Millisecond) {
						a.Current().Held.Use()
						time.Sleep(100 * time.Millisecond)
					}
				}
				wants := func(what string, lack lease.Lack) {
					t.Helper()
					want := []lease.Lack{lease.NoProcess, lack, lease.Nothing}
					if s := a.Current().Held.Status(); !s.Alone || !slices.Equal(s.Lacks, want) {
						t.Errorf("%s: %v, want %v: %+v", what, s.Lacks, want, s)
					}
				}
				a.hold()
				if c.want == lease.NotGiven || c.want == lease.OtherEpoch {
					c.begins(w) // a session that stands would be renewed
					use(2 * time.Second)
					wants("from the start", c.want)
					return
				}
				use(time.Second)
				wants("before", lease.Nothing)
				c.begins(w)
				use(2 * time.Second)
				wants("then", c.want)
				c.mends(w)
				use(5 * time.Second)
				wants("after", lease.Nothing)
			})
		})
	}
}
