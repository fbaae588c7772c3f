package node

import (
	"context"
	"errors"
	"testing"
	"time"

	"viakv/api/kv"
	"viakv/node/topology"
	"viakv/quorum"
)

// These constants compile only if kv.MaxMembers ≤ topology.MaxSlots ≤ quorum.MaxMembers.
const (
	_ = uint(quorum.MaxMembers - topology.MaxSlots)
	_ = uint(topology.MaxSlots - kv.MaxMembers)
)

// A mesh of 32 members is full. It refuses the next node at once, and that node goes on as it was,
// with the keys that it holds.
func TestAFullMeshRefusesAJoin(t *testing.T) {
	if testing.Short() {
		t.Skip("runs as many nodes as a mesh may have")
	}
	inMesh(t, kv.MaxMembers, func(m *mesh) {
		const next = kv.MaxMembers
		m.alone(next)
		m.set(next, "mine", "1")
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := m.join(ctx, next, 0); !errors.Is(err, kv.ErrFull) {
			t.Errorf("the join: %v", err)
		}
		m.wants(next, "mine", "1")
		if s := m.nodes[0].Status(); s.N != kv.MaxMembers || s.Unsettled != nil || len(s.Members) != kv.MaxMembers {
			t.Errorf("the mesh has %d members, %+v", s.N, s.Unsettled)
		}
	})
}
