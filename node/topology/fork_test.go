package topology

import (
	"errors"
	"testing"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"viakv/api/kv"
	"viakv/node/transport"
)

// A forced leave is the operator's way out of a lost majority.
func TestForce(t *testing.T) {
	simulate(t, func(w *world) {
		a, b, c := w.trio()
		w.leader(a, b, c)
		b.crash()
		c.crash()
		time.Sleep(3 * time.Second)
		if _, err := a.m.Leave(w.ctx(2*time.Second), "b", false); !errors.Is(err, kv.ErrTooFewServe) {
			t.Fatalf("without force: %v", err)
		}
		e := w.start("e", via("a"))
		w.until("the join ends", 15*time.Second, e.over)
		if !errors.Is(e.err, kv.ErrTooFewServe) {
			t.Errorf("a join without a majority: %v", e.err)
		}
		if _, err := a.m.fork(w.ctx(time.Second), a.m.newest().successor(OperationID{}), "b", kv.Left{}, false); !errors.Is(err, kv.ErrMovedOn) {
			t.Errorf("a fork of what is not the newest: %v", err)
		}
		report, err := a.m.Leave(w.ctx(10*time.Second), "b", true)
		if err != nil {
			t.Fatal(err)
		}
		if !report.Forced || report.Loss == nil || report.Epoch < forkJump {
			t.Errorf("%+v", report)
		}
		if _, err := a.m.Leave(w.ctx(10*time.Second), "a", true); !errors.Is(err, kv.ErrQuorumLoss) || errors.Is(err, kv.ErrTooFewServe) {
			t.Errorf("itself: %v", err)
		}
		_, err = a.m.Leave(w.ctx(10*time.Second), "c", true)
		if err != nil {
			w.dump()
			t.Fatal(err)
		}
		w.agree(10*time.Second, a)
		b = w.start("b", seeds("a", "b", "c"))
		top := w.agree(10*time.Second, a, b)
		if len(top.Forks) != 1 {
			t.Errorf("%s", top.encode())
		}
	})
}

// heardOnly starts three nodes and crashes one. The follower that is left answers the leader, but
// the entries that the leader sends it are lost.
func heardOnly(w *world) (leader, follower, dead *process) {
	leader, dead, follower = w.ledTrio()
	w.leads(leader)
	dead.crash()
	w.net.filter(func(from, _ transport.Address, request []byte) bool {
		return from == leader.id.Peer && carries(request, raftpb.MsgApp)
	}, nil)
	return leader, follower, dead
}

// A leader that has lost its majority may find out late, for example on a machine that is short of
// processor time. A forced leave waits until the leader resigns, and then forks the cluster.
func TestForceWaitsForALeaderThatDoesNotKnowYet(t *testing.T) {
	simulate(t, func(w *world) {
		leader, follower, dead := heardOnly(w)
		time.AfterFunc(5*time.Second, follower.crash)
		report, err := leader.m.Leave(w.ctx(30*time.Second), dead.id.Name, true)
		if err != nil {
			t.Fatal(err)
		}
		if report.Epoch < forkJump {
			t.Errorf("the leave was agreed on without a majority: %+v", report)
		}
	})
}

// A forced leave that was proposed may still be agreed on when the node that proposed it stops. The
// answer says so, and comes at once.
func TestForceEndsWithTheNode(t *testing.T) {
	simulate(t, func(w *world) {
		leader, _, dead := heardOnly(w)
		var stopped time.Time
		time.AfterFunc(5*time.Second, func() {
			stopped = time.Now()
			leader.crash()
		})
		_, err := leader.m.Leave(w.ctx(30*time.Second), dead.id.Name, true)
		var u *kv.Unavailable
		if !errors.As(err, &u) || u.Outcome != kv.Unknown || !errors.Is(err, ErrOver) {
			t.Errorf("%v, want an unknown outcome and the reason", err)
		}
		if after := time.Since(stopped); after > time.Second {
			t.Errorf("answered %v after the node's end", after)
		}
	})
}

// A fork takes over a survivor that was cut off, with its memory intact: the slot keeps its boot ID
// and its incarnation.
func TestAForkTakesOver(t *testing.T) {
	simulate(t, func(w *world) {
		nodes := w.cluster(five...)
		before := nodes[0].m.current()
		w.leader(nodes...)
		for _, p := range nodes[2:] {
			p.crash()
		}
		time.Sleep(3 * time.Second)
		a, b := nodes[0], nodes[1]
		w.net.isolate("b:7000", true)
		for _, name := range []string{"c", "d", "e"} {
			if _, err := a.m.Leave(w.ctx(10*time.Second), name, true); err != nil {
				t.Fatal(err)
			}
		}
		w.net.isolate("b:7000", false)
		after := w.agree(20*time.Second, a, b)
		if after.Cluster == before.Cluster || !after.continues(before.Cluster) {
			t.Errorf("%s", after.encode())
		}
		if *after.slot("b") != *before.slot("b") {
			t.Errorf("slot %+v became %+v", before.slot("b"), after.slot("b"))
		}
	})
}

// While there is a leader, a forced leave makes no fork: the cluster stays the same.
func TestForceWithALeader(t *testing.T) {
	simulate(t, func(w *world) {
		leader, dead, other := w.ledTrio()
		dead.crash()
		report, err := other.m.Leave(w.ctx(10*time.Second), dead.id.Name, true)
		if err != nil {
			t.Fatal(err)
		}
		if report.Loss != nil {
			t.Errorf("two of three remain, nothing is lost: %+v", report)
		}
		if top := w.agree(10*time.Second, leader, other); len(top.Forks) > 0 {
			t.Errorf("%s", top.encode())
		}
	})
}
