package node

import (
	"context"
	"errors"
	"testing"

	"viakv/api/kv"
)

// D4: what a read has answered with is on W replicas. So it outlives one crash, one join or one
// leave, as an acknowledged write does. In a mesh of even size a record may be on fewer than W
// replicas, and every quorum of readers meets it all the same. A read that answered with such a
// record at once was contradicted afterwards.
func TestWhatWasReadIsCarriedOver(t *testing.T) {
	const keys = 300
	for _, c := range []struct {
		name    string
		nodes   int
		holders []int // the nodes that hold a write that was not acknowledged
		reader  int
		change  func(m *mesh)
		after   int // the node that reads again after the change
	}{
		{"join to a pair", 2, []int{1}, 1, func(m *mesh) { m.start(2, nil); m.joins(2, 0) }, 2},
		{"join to four", 4, []int{3, 2}, 3, func(m *mesh) { m.start(4, nil); m.joins(4, 0) }, 4},
		{"leave from four", 4, []int{0, 3}, 3, func(m *mesh) { m.leaves(1, 0) }, 1},
		{"leave from a trio", 3, []int{0}, 0, func(m *mesh) { m.leaves(1, 0) }, 2},
		{"crash of one of four", 4, []int{0, 1}, 0, func(m *mesh) { m.restarts(0) }, 2},
		{"crash of another one of four", 4, []int{0, 1}, 1, func(m *mesh) { m.restarts(1) }, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			inMesh(t, c.nodes, func(m *mesh) {
				for i := range keys {
					m.stored(key(i), "v", c.holders...)
				}
				var seen []string
				for i := range keys {
					switch _, _, err := m.nodes[c.reader].Get(context.Background(), nil, []byte(key(i)), kv.Options{}); {
					case err == nil:
						seen = append(seen, key(i))
					case !errors.Is(err, kv.ErrMissing):
						t.Fatal(err)
					}
				}
				if len(seen) < keys/2 {
					t.Fatalf("%d of %d keys were read", len(seen), keys)
				}
				c.change(m)
				lost := 0
				for _, k := range seen {
					if _, _, err := m.nodes[c.after].Get(context.Background(), nil, []byte(k), kv.Options{}); err != nil {
						lost++
					}
				}
				if lost > 0 {
					t.Errorf("%d of %d keys that were read are missing afterwards", lost, len(seen))
				}
			})
		})
	}
}
