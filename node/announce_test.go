package node

import (
	"context"
	"testing"
	"time"

	"viakv/api/kv"
)

// leaderAndFollowers returns the leader of the consensus group and two other nodes. In a mesh of
// four, two of the three nodes that stay after a leave can agree on it without the third.
func (m *mesh) leaderAndFollowers() (leader, one, other int) {
	m.t.Helper()
	m.until(10*time.Second, "all know one leader", func() bool {
		for i := range m.nodes {
			if m.nodes[i].Status().Leader != m.nodes[0].Status().Leader {
				return false
			}
		}
		return m.nodes[0].Status().Leader != ""
	})
	for i := range m.nodes {
		if m.name(i) == m.nodes[0].Status().Leader {
			leader = i
		}
	}
	return leader, (leader + 1) % len(m.nodes), (leader + 2) % len(m.nodes)
}

// A leave is answered once every member shows it, slow members included.
func TestALeaveIsKnownEverywhereWhenItIsAnswered(t *testing.T) {
	inMesh(t, 4, func(m *mesh) {
		leader, slow, gone := m.leaderAndFollowers()
		m.net.Pause(m.address(slow))
		wake := time.AfterFunc(300*time.Millisecond, func() { m.net.Resume(m.address(slow)) })
		defer wake.Stop()
		if _, err := m.nodes[leader].Leave(context.Background(), m.name(gone), false); err != nil {
			t.Fatal(err)
		}
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
		if err := m.nodes[gone].Join(ctx, string(m.address(leader))); err != nil {
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
		candidate := func() bool { return len(m.nodes[leader].Status().Members) == 4 }
		joined := make(chan error, 1)
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
		defer cancel()
		go func() { joined <- m.nodes[next].Join(ctx, string(m.address(leader))) }()
		m.until(30*time.Second, "the joiner is a candidate", candidate)
		m.isolate(next, true)
		m.until(2*time.Minute, "the mesh gives the joiner up", func() bool { return !candidate() })
		m.net.HealAll()
		if err := <-joined; err != nil {
			t.Fatal(err)
		}
		if s := m.nodes[leader].Status(); s.N != 4 {
			t.Errorf("%d members after the join", s.N)
		}
		if value, _, err := m.nodes[leader].Get(context.Background(), nil, []byte("mine"), kv.Options{}); err != nil || string(value) != "1" {
			t.Errorf("what the joiner held: %q, %v", value, err)
		}
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
