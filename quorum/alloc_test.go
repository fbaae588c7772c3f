//go:build !race

// The race detector makes pools forget at random, so these budgets are checked without it.

package quorum

import (
	"fmt"
	"testing"
	"testing/synctest"

	"viakv/api/kv"
)

// A coordinator allocates nothing. Its peers answer at once here. The one allocation of a write is
// the tests' store, which copies the value.
func TestAllocations(t *testing.T) {
	for _, n := range []int{1, 3, 5} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			m := newMesh(t, n)
			nd := m.nodes[0]
			nd.mustSet("k", "v")
			nd.filter = func(c *Call) bool {
				c.Status = Same // the peer holds what the coordinator holds
				if c.Kind == Store {
					c.Status = OK
				}
				c.End()
				return true
			}
			dst, key, value := make([]byte, 0, 64), []byte("k"), []byte("v")
			if n := testing.AllocsPerRun(200, func() { dst, _, _ = nd.Get(bg, dst[:0], key, kv.Options{}) }); n != 0 {
				t.Errorf("get: %v allocations", n)
			}
			if n := testing.AllocsPerRun(200, func() { _, _ = nd.Set(bg, key, value, kv.Options{}) }); n != 1 {
				t.Errorf("set: %v allocations", n)
			}
		})
	}
}

// Many gets from the own copy allocate nothing.
func TestAllocationsOfManyGets(t *testing.T) {
	inMesh(t, 3, func(t *testing.T, m *mesh) {
		m.nodes[1].setMany(3 * maxAsking)
		synctest.Wait()
		m.tellMarks()
		m.Lease(0, 1)
		m.nodes[0].askNobody()
		reads, dst := readsOf(3*maxAsking+1), make([]byte, 0, 64<<10)
		if n := testing.AllocsPerRun(20, func() { m.nodes[0].GetMany(bg, dst, reads, kv.Options{}) }); n != 0 {
			t.Errorf("%v allocations", n)
		}
	})
}
