package quorum

import (
	"testing"
	"testing/synctest"
	"time"

	"viakv/api/kv"
	"viakv/quorum/replica/replicatest"
)

// How long sets and removes wait for members that hold leases is counted: from when enough members
// have acknowledged until the holders have, or their leases are over, or the request is.
func TestWaitsForHoldersAreCounted(t *testing.T) {
	late := func(by time.Duration, holder int) func(m *mesh, nd *node) {
		return func(m *mesh, nd *node) {
			nd.filter = func(c *Call) bool {
				if c.Member != holder || c.Kind != Store && c.Kind != Vote {
					return false
				}
				nd.deliverAfter(by, m.view(0), c)
				return true
			}
		}
	}
	silent := func(_ *mesh, nd *node) { nd.silence(2) }
	set := func(o kv.Options) func(nd *node) error {
		return func(nd *node) error {
			_, err := nd.Set(bg, []byte("k"), []byte("v"), o)
			return err
		}
	}
	remove := func(nd *node) error { return nd.removeHere([]byte("k"), kv.Options{}, false) }
	get := func(nd *node) error {
		_, _, err := nd.Get(bg, nil, []byte("k"), kv.Options{})
		return err
	}
	for name, c := range map[string]struct {
		leases      bool
		fault       func(m *mesh, nd *node)
		do          func(nd *node) error
		fails       bool
		count       uint64
		least, most time.Duration
		class       int
	}{
		"nobody is late":             {leases: true, do: set(kv.Options{})},
		"a moment":                   {leases: true, fault: late(time.Millisecond-1, 2), do: set(kv.Options{})},
		"10 ms":                      {leases: true, fault: late(10*time.Millisecond, 2), do: set(kv.Options{}), count: 1, least: 10 * time.Millisecond, most: 10 * time.Millisecond, class: 2},
		"a remove":                   {leases: true, fault: late(30*time.Millisecond, 2), do: remove, count: 1, least: 30 * time.Millisecond, most: 30 * time.Millisecond, class: 4},
		"who holds none":             {leases: true, fault: late(10*time.Millisecond, 1), do: set(kv.Options{}), count: 0},
		"no leases":                  {fault: late(10*time.Millisecond, 2), do: set(kv.Options{})},
		"one acknowledgement enough": {leases: true, fault: late(10*time.Millisecond, 2), do: set(kv.Options{W: 1})},
		"a lease that ends": {leases: true, fault: silent, do: set(kv.Options{}), count: 1,
			least: replicatest.Term, most: replicatest.Term + 2*sessionPoll, class: 6},
		"the end of the request": {leases: true, fault: silent, do: func(nd *node) error {
			return set(kv.Options{Deadline: time.Now().Add(replicatest.Term / 4)})(nd)
		}, fails: true, count: 1, least: replicatest.Term / 4, most: replicatest.Term / 4, class: 3},
		"a get": {leases: true, fault: silent, do: get},
	} {
		t.Run(name, func(t *testing.T) {
			inMesh(t, 3, func(t *testing.T, m *mesh) {
				nd := m.nodes[0]
				nd.mustSet("k", "before")
				synctest.Wait()
				if c.leases {
					m.Lease(2, 0, 1)
				}
				if c.fault != nil {
					c.fault(m, nd)
				}
				if err := c.do(nd); (err != nil) != c.fails {
					t.Fatal(err)
				}
				w := nd.Stats().Waits
				if w.Count != c.count || w.Total < c.least || w.Total > c.most || c.count > 0 && w.Classes[c.class] != c.count {
					t.Errorf("%+v: want %d in class %d, %v to %v", w, c.count, c.class, c.least, c.most)
				}
				nd.filter = nil
			})
		})
	}
}
