package node

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"viakv/api/kv"
)

// While a node goes over from a cluster of its own to the mesh it leads two lives. What the mesh sends it concerns the new one alone, although its own
// clients still meet the old one; and no balancer that already knows it as a member may send it a request that the old one would answer.
func TestAJoiningNodeKeepsItsTwoLivesApart(t *testing.T) {
	inMesh(t, 3, func(m *mesh) {
		ctx := context.Background()
		const keys = 4000
		for i := range keys {
			m.set(i%3, key(i), "v")
		}
		m.start(3, nil)
		m.until(10*time.Second, "the fourth is alone", m.ready(3))
		var load sync.WaitGroup
		for i := range 3 {
			load.Go(func() {
				for k := i; k < keys; k += 3 {
					switch err := m.nodes[i].Remove(ctx, []byte(key(k)), kv.Options{}); {
					case errors.Is(err, kv.ErrMissing):
						t.Errorf("%s is there, and its remove at %s found nothing", key(k), m.name(i))
					case err != nil && !errors.Is(err, kv.ErrUnavailable):
						t.Error(err)
					}
				}
			})
		}
		load.Go(func() {
			if err := m.nodes[3].Join(ctx, string(m.address(1))); err != nil {
				t.Error(err)
			}
		})
		m.set(0, "asked", "v")
		load.Go(func() {
			for asked := 0; asked < 20 && !t.Failed(); time.Sleep(time.Millisecond / 4) {
				if !m.lists(0, 3) || m.nodes[3].Ready(ctx) != nil {
					continue
				}
				asked++
				if _, _, err := m.nodes[3].Get(ctx, nil, []byte("asked"), kv.Options{}); err != nil {
					t.Errorf("the mesh lists it, it is ready, and a read there ends with %v", err)
				}
			}
		})
		load.Wait()
		m.until(15*time.Second, "all are equal", m.equal(0, 1, 2, 3))
	})
}

// A script starts a node and has it join in the next line: it need not wait until the node has founded the cluster that it gives up again.
func TestANodeJoinsAsSoonAsItIsStarted(t *testing.T) {
	inMesh(t, 3, func(m *mesh) {
		m.start(3, nil)
		if err := m.nodes[3].Join(context.Background(), string(m.address(1))); err != nil {
			m.t.Fatal(err)
		}
		m.until(15*time.Second, "all are equal", m.equal(0, 1, 2, 3))
	})
}

// lists reports whether a node takes another one for an active member.
func (m *mesh) lists(at, other int) bool {
	for _, member := range m.nodes[at].Status().Members {
		if member.Name == m.name(other) && member.State == "active" {
			return true
		}
	}
	return false
}
