package node

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"viakv/api/kv"
	"viakv/node/wire"
	"viakv/quorum/version"
)

// A join that is under way when its node stops ends with the node. A later join is refused.
func TestAJoinEndsWithTheNode(t *testing.T) {
	inMesh(t, 2, func(m *mesh) {
		m.start(2, nil)
		m.until(10*time.Second, "the third is alone", m.ready(2))
		m.isolate(2, true)
		ended := make(chan error)
		go func() { ended <- m.nodes[2].Join(context.Background(), string(m.address(0))) }()
		time.Sleep(500 * time.Millisecond)
		m.kill(2)
		if err := <-ended; !errors.Is(err, kv.ErrUnavailable) {
			t.Errorf("the join that was under way: %v", err)
		}
		if err := m.nodes[2].Join(context.Background(), string(m.address(0))); !errors.Is(err, kv.ErrUnavailable) {
			t.Errorf("a join of a stopped node: %v", err)
		}
	})
}

// A node that stops refuses the removes of its peers before it says goodbye. The peers then
// coordinate these removes themselves.
func TestAStoppingNodeCoordinatesNothingNew(t *testing.T) {
	inMesh(t, 3, func(m *mesh) {
		from, to := m.nodes[0].present.Load().state.Load(), m.nodes[2].present.Load().state.Load()
		stamp := wire.Stamp{Cluster: from.View.Cluster, Epoch: from.View.Epoch, To: to.Self, From: from.Self}
		remove := wire.AppendRemove(wire.AppendRequest(nil, wire.Remove, stamp), &wire.RemoveRequest{Key: []byte("k"), Left: time.Second, Sequence: 1})
		go m.stops[2]()
		m.stops[2] = nil
		synctest.Wait() // until it says goodbye
		b, ok := m.nodes[2].server.ServeInline(nil, remove)
		if r, err := wire.ParseReply(b); !ok || err != nil || r.Status != wire.Overloaded {
			t.Errorf("%v %v %v", ok, r.Status, err)
		}
		time.Sleep(6 * time.Second)
	})
}

// M5: a node that stops tells the others at some moment that it has nothing more to say. They take
// that as the promise that nothing completes there any more. From that moment on the node must
// refuse what its peers ask, although it takes a while to stop.
func TestAStoppingNodeRefusesBeforeItSaysThatItIsOver(t *testing.T) {
	inMesh(t, 3, func(m *mesh) {
		m.set(0, "k", "v")
		from, stopping := m.nodes[0].present.Load().state.Load(), m.nodes[2]
		member := stopping.present.Load()
		to := member.state.Load()
		stamp := wire.Stamp{Cluster: uint64(from.topology.Cluster), Epoch: from.View.Epoch, To: to.Self, From: from.Self}
		read := wire.AppendRead(wire.AppendRequest(nil, wire.Read, stamp), &wire.ReadRequest{Value: true, Key: []byte("k")})
		if !stopping.spawn(func() { time.Sleep(5 * time.Second) }) { // keeps the node from stopping at once
			t.Fatal("the node is stopping already")
		}
		go m.stops[2]()
		m.stops[2] = nil
		<-member.over
		b, ok := stopping.server.ServeInline(nil, read)
		if r, err := wire.ParseReply(b); !ok || err != nil || r.Status != wire.NotActive {
			t.Errorf("a read at a node whose membership is over: %v %v %v", ok, r.Status, err)
		}
		if _, _, err := stopping.Get(context.Background(), nil, []byte("k"), kv.Options{R: 1}); !errors.Is(err, kv.ErrUnavailable) {
			t.Errorf("a read of its own: %v", err)
		}
		if _, err := to.Store.Put(to.View.Epoch, to.View.Seed.Hash([]byte("k")), []byte("k"), &version.Record{Tag: version.Tag{Counter: 99, Incarnation: 1}}); err == nil {
			t.Error("its store takes a write of the old epoch")
		}
		time.Sleep(6 * time.Second)
	})
}

// A clear is refused at a node that serves no client at the moment.
func TestAClearBetweenTwoMemberships(t *testing.T) {
	inMesh(t, 1, func(m *mesh) {
		m.set(0, "k", "v")
		n := m.nodes[0]
		member := n.present.Load()
		before := member.state.Load().topology.Generation
		refused := func(when string, at version.Generation) {
			t.Helper()
			if err := n.Clear(context.Background(), kv.Options{}); !errors.Is(err, kv.ErrUnavailable) {
				t.Errorf("%s: %v", when, err)
			}
			if now := member.state.Load().topology.Generation; now != at {
				t.Errorf("%s: generation %d, want %d", when, now, at)
			}
		}
		n.frozen.Store(true)
		refused("frozen", before)
		n.frozen.Store(false)
		if err := n.Clear(context.Background(), kv.Options{}); err != nil {
			t.Error(err)
		}
		if after := member.state.Load().topology.Generation; after != before+1 {
			t.Errorf("generation %d after %d", after, before)
		}
		member.Close()
		refused("sealed", before+1)
	})
}
