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
		m.alone(2)
		m.isolate(2, true)
		ended := m.joining(context.Background(), 2, 0)
		time.Sleep(500 * time.Millisecond)
		m.kill(2)
		if err := <-ended; !errors.Is(err, kv.ErrUnavailable) {
			t.Errorf("the join that was under way: %v", err)
		}
		if err := m.join(context.Background(), 2, 0); !errors.Is(err, kv.ErrUnavailable) {
			t.Errorf("a join of a stopped node: %v", err)
		}
	})
}

// A node that stops refuses the removes of its peers before it says goodbye. The peers then
// coordinate these removes themselves.
func TestAStoppingNodeCoordinatesNothingNew(t *testing.T) {
	inMesh(t, 3, func(m *mesh) {
		remove := wire.AppendRemove(request(wire.Remove, m.state(0), m.state(2)), &wire.RemoveRequest{Key: []byte("k"), Left: time.Second, Sequence: 1})
		go m.stops[2]()
		m.stops[2] = nil
		synctest.Wait() // until it says goodbye
		m.inline(2, wire.Overloaded, remove)
		time.Sleep(6 * time.Second)
	})
}

// M5: a node that stops tells the others at some moment that it has nothing more to say. They take
// that as the promise that nothing completes there any more. From that moment on the node must
// refuse what its peers ask, although it takes a while to stop.
func TestAStoppingNodeRefusesBeforeItSaysThatItIsOver(t *testing.T) {
	inMesh(t, 3, func(m *mesh) {
		m.set(0, "k", "v")
		stopping := m.nodes[2]
		member := stopping.present.Load()
		to := member.state.Load()
		read := wire.AppendRead(request(wire.Read, m.state(0), to), &wire.ReadRequest{Value: true, Key: []byte("k")})
		if !stopping.spawn(func() { time.Sleep(5 * time.Second) }) { // keeps the node from stopping at once
			t.Fatal("the node is stopping already")
		}
		go m.stops[2]()
		m.stops[2] = nil
		<-member.over
		m.inline(2, wire.NotActive, read)
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
