package node

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"viakv/quorum/version"
)

// A walk over everything that a node holds meets each key once, although epochs begin meanwhile and
// the membership ends.
func TestEachGoesThroughEpochs(t *testing.T) {
	inMesh(t, 2, func(m *mesh) {
		const keys = 1000
		for i := range keys {
			m.set(0, fmt.Sprint("key ", i), "v")
		}
		member := m.nodes[0].present.Load()
		began := member.state.Load().View.Epoch
		met := map[string]int{}
		err := member.each(context.Background(), func(key []byte, r *version.Record) bool {
			met[string(key)]++
			switch len(met) {
			case keys / 3:
				m.leaves(0, 1)
			case keys * 2 / 3:
				if e := member.state.Load().View.Epoch; e == began {
					t.Errorf("the epoch is still %d", e)
				}
				member.Close()
			}
			return true
		})
		if err != nil {
			t.Fatal(err)
		}
		if len(met) != keys {
			t.Errorf("%d keys of %d", len(met), keys)
		}
		for k, n := range met {
			if n != 1 {
				t.Errorf("%s was met %d times", k, n)
			}
		}
		ctx, cancel := context.WithCancel(context.Background())
		if err := member.each(ctx, func([]byte, *version.Record) bool { cancel(); return true }); !errors.Is(err, context.Canceled) {
			t.Errorf("a walk that is cancelled: %v", err)
		}
	})
}
