package node

import (
	"context"
	"testing"
	"time"
)

// A leave is answered once every member shows it, slow members included.
func TestALeaveIsKnownEverywhereWhenItIsAnswered(t *testing.T) {
	inMesh(t, 4, func(m *mesh) {
		leader, slow, gone := m.leaderAndFollowers()
		m.net.Pause(m.address(slow))
		wake := time.AfterFunc(300*time.Millisecond, func() { m.net.Resume(m.address(slow)) })
		defer wake.Stop()
		m.leaves(leader, gone)
		if s := m.nodes[slow].Status(); s.N != 3 {
			t.Errorf("the leave is answered, and %s still shows %d members at epoch %d", s.Self, s.N, s.Epoch)
		}
	})
}

// A node that leaves tells the other members itself, and so does a node that joins.
func TestALeaverAndAJoinerTellTheOthers(t *testing.T) {
	inMesh(t, 4, func(m *mesh) {
		ctx := context.Background()
		leader, slow, gone := m.leaderAndFollowers()
		m.net.Pause(m.address(slow))
		time.AfterFunc(300*time.Millisecond, func() { m.net.Resume(m.address(slow)) })
		if _, err := m.nodes[gone].Leave(ctx, "", false); err != nil {
			t.Fatal(err)
		}
		for i := range m.nodes {
			if i == gone {
				continue
			}
			if s := m.nodes[i].Status(); s.N != 3 {
				t.Errorf("after the leave: %s shows %d members", s.Self, s.N)
			}
		}
		if err := m.join(ctx, gone, leader); err != nil {
			t.Fatal(err)
		}
		for i := range m.nodes {
			if s := m.nodes[i].Status(); s.N != 4 || s.Unsettled != nil {
				t.Errorf("after the join: %s shows %d members, unsettled: %+v", s.Self, s.N, s.Unsettled)
			}
		}
	})
}

// The leader gives up a joiner that it has not heard from for a while. The joiner tries again while
// its request has time.
func TestAJoinThatWasGivenUpIsTriedAgain(t *testing.T) {
	inMesh(t, 3, func(m *mesh) {
		leader, _, next := m.candidate()
		m.set(next, "mine", "1")
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
		defer cancel()
		joined := m.joining(ctx, next, leader)
		m.until(30*time.Second, "the joiner is a candidate", m.shows(leader, 4))
		m.isolate(next, true)
		m.until(2*time.Minute, "the mesh gives the joiner up", m.shows(leader, 3))
		m.net.HealAll()
		if err := <-joined; err != nil {
			t.Fatal(err)
		}
		if s := m.nodes[leader].Status(); s.N != 4 {
			t.Errorf("%d members after the join", s.N)
		}
		m.wants(leader, "mine", "1")
	})
}

// A member that does not answer delays the answer of a leave, but not for long.
func TestALeaveDoesNotWaitForTheSilent(t *testing.T) {
	inMesh(t, 4, func(m *mesh) {
		leader, slow, gone := m.leaderAndFollowers()
		m.net.Pause(m.address(slow))
		defer m.net.Resume(m.address(slow))
		began := time.Now()
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if _, err := m.nodes[leader].Leave(ctx, m.name(gone), false); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > announceTime+2*time.Second {
			t.Errorf("the leave took %v", took)
		}
	})
}
