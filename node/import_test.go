package node

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

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

// L6: the keys that a node brings into a mesh keep their numbers, which its watermark must not pass
// before they are all complete.
func TestAnImportHoldsTheWatermarkBack(t *testing.T) {
	const keys = 500
	inMesh(t, 3, func(m *mesh) {
		m.start(3, nil)
		m.until(10*time.Second, "the fourth node serves alone", m.ready(3))
		for i := range keys {
			m.set(3, key(i), "v")
		}
		joined := m.joining(context.Background(), 3, 0)
		seen := 0
		for over := false; !over; {
			time.Sleep(100 * time.Microsecond)
			select {
			case err := <-joined:
				over = true
				if err != nil {
					t.Fatal(err)
				}
			default:
			}
			complete, held := 0, 0
			for i := range keys {
				h := m.holders(key(i))
				if len(h) == 0 {
					continue
				}
				held++
				if m.state(0).View.Confirmed(&h[0]) {
					complete++
				}
				if complete > 0 && len(h) < 3 {
					t.Fatalf("%s is at %d members, and %d keys are known to be complete", key(i), len(h), complete)
				}
			}
			if held > 0 && held < keys {
				seen++
			}
			if complete > 0 && held < keys {
				t.Fatalf("%d keys are known to be complete, and %d of %d are in the mesh", complete, held, keys)
			}
		}
		if seen == 0 {
			t.Error("the import was not seen under way")
		}
		m.until(10*time.Second, "the keys are known to be complete", func() bool {
			h := m.holders(key(0))
			return m.state(0).View.Confirmed(&h[0])
		})
	})
}

// holders returns the records of a key at the members of the mesh that hold it.
func (m *mesh) holders(key string) (records []version.Record) {
	mesh := m.state(0).View.Cluster
	for i := range m.nodes {
		s := m.state(i)
		if s == nil || s.View.Cluster != mesh {
			continue
		}
		if r, _, err := s.Store.Get(s.View.Epoch, s.View.Seed.Hash([]byte(key)), []byte(key), nil); err == nil && r.Live() {
			records = append(records, r)
		}
	}
	return records
}
