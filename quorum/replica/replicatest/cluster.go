package replicatest

import (
	"fmt"
	"sync/atomic"
	"time"

	"viakv/quorum/lease"
	"viakv/quorum/replica"
	"viakv/quorum/version"
	"viakv/quorum/watermark"
	"viakv/ring"
	"viakv/ring/keyspace"
)

// Cluster is a cluster for tests: what its members hold, and what each of them knows of it. Its
// quorums are majorities.
type Cluster struct {
	Stores []*Store
	Views  []*Views // by member
	Epoch  version.Epoch
}

// Seed is the seed under which the clusters hash keys.
var Seed = keyspace.Seed{1}

// Term is how long leases of the clusters last.
const Term = 100 * time.Millisecond

// Lease makes a member hold a lease of each of the others, or renews what it holds. It must hold
// what they hold.
func (c *Cluster) Lease(holder int, grantors ...int) {
	v := c.Views[holder].Current()
	for _, g := range grantors {
		from := c.Views[g].Current()
		asked := v.Held.Ask()
		if n := from.Given.Give(v.Incarnation(), from.Epoch); n != 0 {
			v.Held.Given(from.Incarnation(), n, asked)
			v.Held.CaughtUp(from.Incarnation(), n)
		}
	}
}

// NewCluster returns a cluster of n active members, named na, nb and so on, at its first epoch.
// rank decides the order of keys.
func NewCluster(n int, rank func(key []byte) keyspace.Rank) *Cluster {
	c := &Cluster{Epoch: 1}
	for range n {
		c.Stores = append(c.Stores, New(c.Epoch, rank))
	}
	for i := range n {
		c.Views = append(c.Views, new(Views))
		c.Views[i].Install(c.View(i, nil))
	}
	return c
}

// View returns a member's view of the present epoch. change may change the view; nil changes
// nothing.
func (c *Cluster) View(self int, change func(*replica.View)) *replica.View {
	n := len(c.Stores)
	v := &replica.View{
		Epoch: c.Epoch, R: n/2 + 1, W: n/2 + 1, Seed: Seed, Slots: n, Self: self,
		Cluster: 77, CursorKey: [16]byte{1, 2, 3}, Store: c.Stores[self], Counter: new(watermark.Counter), Marks: new(watermark.Marks),
		Leases: true, Term: Term, Ended: new(lease.Ended),
	}
	clock := lease.Monotonic()
	v.Given, v.Held = lease.NewGrants(clock, Term), lease.NewHeld(clock, Term)
	var names []string
	for i := range n {
		names = append(names, fmt.Sprintf("n%c", 'a'+i))
		v.Members = append(v.Members, replica.Member{Name: names[i], Incarnation: version.Incarnation(i + 1)})
	}
	v.Ring = ring.Build(names)
	if change != nil {
		change(v)
	}
	return v
}

// Advance moves all stores to the next epoch, and installs its view, with the change, at the given
// members.
func (c *Cluster) Advance(change func(*replica.View), members ...int) {
	c.Epoch++
	for _, s := range c.Stores {
		s.Advance(c.Epoch, nil)
	}
	for _, m := range members {
		c.Views[m].Install(c.View(m, change))
	}
}

// Views is what one member knows of its cluster.
type Views struct {
	current atomic.Pointer[replica.View]
	over    chan struct{} // closed when the current view ends
}

var _ replica.Views = (*Views)(nil)

// Current implements replica.Views.
func (vs *Views) Current() *replica.View { return vs.current.Load() }

// Install makes a view the current one, and ends the former one, whose counter the new view takes
// over. A nil view means that the member has left. Install must not run twice at a time.
func (vs *Views) Install(v *replica.View) {
	over := vs.over
	vs.over = make(chan struct{})
	if v != nil {
		v.Superseded = vs.over
		if old := vs.current.Load(); old != nil {
			v.Counter, v.Marks = old.Counter, old.Marks
			v.Given, v.Held, v.Ended = old.Given, old.Held, old.Ended
		}
		v.Held.Enter(v.Place())
	}
	vs.current.Store(v)
	if over != nil {
		close(over)
	}
}
