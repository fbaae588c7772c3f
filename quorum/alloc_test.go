//go:build !race

// The race detector makes pools forget at random, so budgets are held without it.

package quorum

import (
	"testing"

	"viakv/api/kv"
)

func TestAloneItDoesNotAllocate(t *testing.T) {
	m := newMesh(t, 1)
	nd := m.nodes[0]
	nd.mustSet("k", "v")
	dst, key := make([]byte, 0, 64), []byte("k")
	if n := testing.AllocsPerRun(200, func() { dst, _, _ = nd.Get(bg, dst[:0], key, kv.Options{}) }); n != 0 {
		t.Errorf("get: %v allocations", n)
	}
}
