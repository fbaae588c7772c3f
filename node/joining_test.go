package node

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"viakv/api/kv"
	"viakv/node/topology"
	"viakv/node/wire"
	"viakv/quorum/version"
)

// While a standalone node joins the mesh, it has two memberships. What the mesh sends it concerns
// the next membership only, although the node's own clients still meet the present one. The node is
// not ready while the mesh may list it and the present membership still answers: a balancer would
// send it requests of the mesh.
func TestAJoiningNodeKeepsItsTwoMembershipsApart(t *testing.T) {
	inMesh(t, 3, func(m *mesh) {
		ctx := context.Background()
		const keys = 4000
		for i := range keys {
			m.set(i%3, key(i), "v")
		}
		m.alone(3)
		// While the fourth node joins, every key is removed, and every remove must find its key.
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
			if err := m.join(ctx, 3, 1); err != nil {
				t.Error(err)
			}
		})
		// Once the mesh lists the joiner and the joiner is ready, a read there answers from the
		// mesh.
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

// A script may start a node and make it join in its next line. It need not wait until the node has
// founded the cluster of one that it gives up again.
func TestANodeJoinsAsSoonAsItIsStarted(t *testing.T) {
	inMesh(t, 3, func(m *mesh) {
		m.start(3, nil)
		m.joins(3, 1)
		m.until(15*time.Second, "all are equal", m.equal(0, 1, 2, 3))
	})
}

// A node that has left joins the same mesh again. Its former membership is of the same cluster. It
// must not answer requests that are meant for the next one, since the mesh counts on the next one's
// answers.
func TestTheFormerMembershipDoesNotAnswerForTheNext(t *testing.T) {
	inMesh(t, 3, func(m *mesh) {
		ctx := context.Background()
		if _, err := m.nodes[2].Leave(ctx, "", false); err != nil {
			t.Fatal(err)
		}
		m.until(10*time.Second, "the two have a leader", func() bool { return m.nodes[0].Status().Leader != "" })
		leader, other := 0, 1
		if m.nodes[0].Status().Leader != m.name(0) {
			leader, other = 1, 0
		}
		m.cut(other, 2) // so that the join is still under way below
		joined := m.joining(ctx, 2, leader)
		var next, from *state
		m.until(10*time.Second, "the joiner is admitted", func() bool {
			from = m.state(leader)
			member := m.nodes[2].next.Load()
			if member == nil || member.state.Load() == nil {
				return false
			}
			next = member.state.Load()
			return next.role == topology.Joining && next.View.Epoch == from.View.Epoch
		})
		record := version.Record{Tag: version.Tag{Counter: 7, Incarnation: from.Self}, Value: []byte("v")}
		m.inline(2, wire.OK, wire.AppendStore(request(wire.Stores, from, next), 0, []byte("k"), &record))
		m.net.HealAll()
		if err := <-joined; err != nil {
			t.Error(err)
		}
	})
}

// A node with seeds joins as a new member, is given up while it is cut off, and starts over. The
// memory of its abandoned membership is freed after a while.
func TestTheMemoryOfAnAbandonedMembershipIsFreed(t *testing.T) {
	inMesh(t, 3, func(m *mesh) {
		for i := range 2000 {
			m.set(i%3, key(i), "v")
		}
		m.kill(1) // its slot is vacant, so that the joiner cannot become a member
		m.cut(0, 1)
		m.start(1, m.seeds(3))
		m.start(3, m.seeds(3))
		var given *membership
		m.until(20*time.Second, "the fourth has copied", func() bool {
			given = m.nodes[3].present.Load()
			s := given.state.Load()
			return s != nil && s.Store.Stats().Keys >= 2000
		})
		m.isolate(3, true)
		m.until(20*time.Second, "the mesh gives the joiner up", func() bool { return m.state(0).topology.Joining == nil })
		m.isolate(3, false)
		m.until(time.Minute, "the joiner starts over", func() bool { return m.nodes[3].present.Load() != given })
		m.until(time.Minute, "the memory of the former membership is free", func() bool {
			return given.state.Load().Store.Stats().Extents.Mapped == 0
		})
		m.until(time.Second, "the node forgets the former membership", func() bool {
			m.nodes[3].mu.Lock()
			defer m.nodes[3].mu.Unlock()
			return len(m.nodes[3].retired) == 0
		})
		m.net.HealAll()
		m.until(time.Minute, "the fourth is a member", m.ready(3))
	})
}

// A script may join again at once after a failure: a join that has been answered is over.
func TestAJoinThatWasAnsweredIsOver(t *testing.T) {
	inMesh(t, 1, func(m *mesh) {
		for range 50 {
			err := m.nodes[0].Join(context.Background(), "nobody:1")
			if err == nil || errors.Is(err, kv.ErrAlreadyMember) {
				t.Fatalf("got %v", err)
			}
		}
	})
}
