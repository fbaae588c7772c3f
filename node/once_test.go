package node

import (
	"context"
	"testing"
	"time"

	"viakv/api/kv"
	"viakv/node/wire"
	"viakv/quorum/version"
)

// removal is a remove that node 0 forwards to node 1, as bytes.
func (m *mesh) removal(key string, sequence uint64, later version.Epoch) []byte {
	from, to := m.nodes[0].life.Load().state.Load(), m.nodes[1].life.Load().state.Load()
	stamp := wire.Stamp{Cluster: uint64(from.topology.Cluster), Epoch: from.view.Epoch + later, To: to.self, From: from.self}
	return wire.AppendRemove(wire.AppendRequest(nil, wire.Remove, stamp), &wire.RemoveRequest{Key: []byte(key), Left: time.Second, Sequence: sequence})
}

func (m *mesh) delivers(want wire.Status, request []byte) {
	m.t.Helper()
	r, err := wire.ParseReply(m.nodes[1].Serve(context.Background(), nil, request))
	if err != nil || r.Status != want {
		m.t.Errorf("%v %v, want %v", r.Status, err, want)
	}
}

// T1: the network delivers a forwarded remove twice, the second time at a later epoch. Were that copy called stale, the sender would take it that nothing
// has been done, run the remove itself, and answer that there was nothing to remove.
func TestACopyOfARemoveIsNotStale(t *testing.T) {
	inMesh(t, 3, func(m *mesh) {
		ctx := context.Background()
		if _, err := m.nodes[0].Set(ctx, []byte("k"), []byte("v"), kv.Options{}); err != nil {
			t.Fatal(err)
		}
		request, other := m.removal("k", 1<<40, 0), m.removal("k", 1<<40+1, 0)
		m.delivers(wire.OK, request)
		m.delivers(wire.Unknown, request)
		if err := m.nodes[0].Clear(ctx, kv.Options{}); err != nil {
			t.Fatal(err)
		}
		m.delivers(wire.Unknown, request)
		m.delivers(wire.Stale, other) // of this one nothing was done: the sender may do it itself
		m.delivers(wire.Unknown, other)
	})
}

// T4: a remove for which there is no room is refused, so that its sender does it. A second copy of
// it must not be carried out once there is room again, nor must a remove that was refused by the
// transport.
func TestARefusedRemoveIsNotCarriedOutLater(t *testing.T) {
	inMesh(t, 3, func(m *mesh) {
		m.set(0, "k", "v")
		inline := func(want wire.Status, request []byte) {
			t.Helper()
			b, ok := m.nodes[1].ServeInline(nil, request)
			if r, err := wire.ParseReply(b); !ok || err != nil || r.Status != want {
				t.Errorf("%v %v %v, want %v", ok, r.Status, err, want)
			}
		}
		first, second := m.removal("k", 1<<40, 0), m.removal("k", 1<<40+1, 0)
		m.nodes[1].coordinated.Store(maxCoordinated)
		inline(wire.Overloaded, first)
		inline(wire.Unknown, first)
		m.nodes[1].coordinated.Store(0)
		m.delivers(wire.Unknown, first)
		if r, err := wire.ParseReply(m.nodes[1].Refuse(nil, second)); err != nil || r.Status != wire.Overloaded {
			t.Errorf("%v %v", r.Status, err)
		}
		m.delivers(wire.Unknown, second)
		m.wants(0, "k", "v")
		m.delivers(wire.OK, m.removal("k", 1<<40+2, 0))
	})
}

// A peer that is behind has done nothing and is asked again, by the same bytes.
func TestARemoveIsSentAgainToAPeerThatWasBehind(t *testing.T) {
	inMesh(t, 3, func(m *mesh) {
		ctx := context.Background()
		request := m.removal("k", 1<<40, 1)
		m.delivers(wire.Behind, request)
		if err := m.nodes[0].Clear(ctx, kv.Options{}); err != nil {
			t.Fatal(err)
		}
		m.delivers(wire.Missing, request)
		m.delivers(wire.Unknown, request)
	})
}
