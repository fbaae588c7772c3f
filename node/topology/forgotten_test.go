package topology

import (
	"testing"
	"time"

	"viakv/api/kv"
	"viakv/node/transport"
	"viakv/node/wire"
)

// Raft counts the time of a leader's silence for voters alone. A process without a vote has to
// notice the silence, too: otherwise it would neither look for the new leader nor follow a fork.

// The new member b does not vote yet when a, the only other member, dies. The operator takes a out
// by force, at b.
func TestAForcedLeaveAskedOfALearner(t *testing.T) {
	simulate(t, func(w *world) {
		a := w.start("a")
		w.agree(time.Second, a)
		// The consensus messages of b are dropped, so b is never caught up and gets no vote.
		w.net.filter(func(from, _ transport.Address, request []byte) bool {
			return from == "b:7000" && wire.ControlOp(request[0]) == wire.OpRaft
		}, nil)
		b := w.start("b", via("a"))
		w.until("b is a member", 20*time.Second, func() bool {
			t := b.m.current()
			return t != nil && t.N() == 2 && t.Change == nil && b.m.leader() == "a"
		})
		a.crash()
		w.net.filter(nil, nil)
		time.Sleep(5 * time.Second)
		if _, err := b.m.Leave(w.ctx(30*time.Second), "a", true); err != nil {
			t.Error(err)
		}
		w.agree(5*time.Second, b)
	})
}

// The member c has restarted and does not vote yet when b dies. The operator takes b out by force,
// at a. Then a and c go on.
func TestALearnerFollowsAFork(t *testing.T) {
	simulate(t, func(w *world) {
		leader, b, c := w.ledTrio()
		c.crash()
		w.net.filter(func(from, _ transport.Address, request []byte) bool {
			return from == c.id.Peer && wire.ControlOp(request[0]) == wire.OpRaft
		}, nil)
		again := w.start(c.id.Name, seeds("a", "b", "c"))
		w.until("c rebuilds and has heard of the leader", 10*time.Second, func() bool {
			return again.m.current() != nil && again.m.leader() == leader.id.Name
		})
		b.crash()
		time.Sleep(time.Second)
		w.net.filter(nil, nil)
		if _, err := leader.m.Leave(w.ctx(30*time.Second), b.id.Name, true); err != nil {
			t.Fatal(err)
		}
		w.agree(time.Minute, leader, again)
	})
}

// Two of three members die while a fourth node joins. The operator takes both out by force. The
// joiner is no candidate of the fork, and learns that.
func TestAJoinerLearnsThatAForkDoesWithoutIt(t *testing.T) {
	simulate(t, func(w *world) {
		a, b, c := w.trio()
		d := w.start("d", seeds("a", "b", "c"), stuck)
		w.until("d is admitted", 10*time.Second, func() bool { return d.m.current() != nil })
		time.Sleep(time.Second)
		b.crash()
		c.crash()
		time.Sleep(3 * time.Second)
		for _, p := range []*process{b, c} {
			if _, err := a.m.Leave(w.ctx(30*time.Second), p.id.Name, true); err != nil {
				t.Fatal(err)
			}
		}
		w.until("a is alone", time.Minute, func() bool { return a.m.current().N() == 1 })
		w.until("d's membership ends", time.Minute, d.over)
	})
}

// A joiner that has copied everything is cut off and given up. All members restart before it is
// back, so no process that it knows is there any more.
func TestAJoinerLearnsThatAllMembersAreOthers(t *testing.T) {
	simulate(t, func(w *world) {
		leader, b, c := w.ledTrio()
		all := seeds("a", "b", "c")
		b.crash()
		vacant := w.start(b.id.Name, all, stuck)
		w.until("the slot is vacant", 10*time.Second, func() bool { return leader.m.current().vacancies() == 1 })
		d := w.start("d", all)
		w.until("d is admitted", 10*time.Second, func() bool { return d.m.current() != nil })
		time.Sleep(time.Second) // it has copied
		away := func() { w.net.isolate(d.id.Peer, true) }
		away()
		w.until("d is given up", 20*time.Second, func() bool { return leader.m.current().Joining == nil })
		vacant.crash()
		members := []*process{leader, c, w.start(b.id.Name, all)}
		away()
		w.agree(20*time.Second, members...)
		for i := range 2 {
			name := members[i].id.Name
			members[i].crash()
			members[i] = w.start(name, all)
			away()
			w.agree(20*time.Second, members...)
		}
		time.Sleep(10 * time.Second)
		w.net.isolate(d.id.Peer, false)
		w.until("d's membership ends", time.Minute, d.over)
	})
}

// A member hangs while a joiner waits for it. A poll of the members then takes as long as its
// answers stay valid. The growth of the joiner and the leave of the hanging member both need a
// poll. Neither may wait for the other.
func TestALeaveOfAMemberThatHangsWhileAnotherJoins(t *testing.T) {
	simulate(t, func(w *world) {
		// With W = N the growth needs the member that hangs.
		all := func(c *Config, _ *process) { c.WriteQuorum = kv.QuorumAll }
		from := seeds("a", "b", "c")
		a, b, c := w.start("a", from, all), w.start("b", from, all), w.start("c", from, all)
		w.agree(2*time.Second, a, b, c)
		leader := w.leader(a, b, c)
		hangs := others(leader, a, b, c)[0]
		d := w.start("d", from, all, stuck)
		w.until("d is admitted", 5*time.Second, func() bool { return leader.m.current().Joining != nil })
		w.net.isolate(hangs.id.Peer, true)
		w.until("d knows", 5*time.Second, func() bool { return d.m.current() != nil })
		d.driving.Go(func() { _ = d.m.Rebuilt(d.ctx, d.m.current()) }) // d says that it has copied
		time.Sleep(4 * time.Second)
		if _, err := leader.m.Leave(w.ctx(10*time.Second), hangs.id.Name, false); err != nil {
			t.Error(err)
		}
	})
}
