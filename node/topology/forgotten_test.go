package topology

import (
	"testing"
	"time"

	"viakv/api/kv"
	"viakv/node/transport"
	"viakv/node/wire"
)

// A process without a vote never misses its leader by itself: raft counts the time for voters
// alone. It must all the same, or it would neither look for whoever leads now nor follow a fork.

// b has just become a member and does not vote yet when the only other member dies. The operator
// takes that one out by force, at b.
func TestAForcedLeaveAskedOfALearner(t *testing.T) {
	simulate(t, func(w *world) {
		a := w.start("a")
		w.agree(time.Second, a)
		w.net.filter(func(from, _ transport.Address, request []byte) bool { // never caught up: no vote
			return from == "b:7000" && wire.ControlOp(request[0]) == wire.OpRaft
		}, nil)
		b := w.start("b", via("a"))
		w.until("b is a member", 20*time.Second, func() bool {
			t := b.m.Current()
			return t != nil && t.N() == 2 && t.Change == nil && b.m.Leader() == "a"
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

// c has restarted and does not vote yet when b dies. The operator takes b out by force, at a: c is
// of the two that go on.
func TestALearnerFollowsAFork(t *testing.T) {
	simulate(t, func(w *world) {
		a, b, c := w.trio()
		leader := w.leader(a, b, c)
		rest := others(leader, a, b, c)
		b, c = rest[0], rest[1]
		c.crash()
		w.net.filter(func(from, _ transport.Address, request []byte) bool {
			return from == c.id.Peer && wire.ControlOp(request[0]) == wire.OpRaft
		}, nil)
		again := w.start(c.id.Name, seeds("a", "b", "c"))
		w.until("c rebuilds and has heard of the leader", 10*time.Second, func() bool {
			return again.m.Current() != nil && again.m.Leader() == leader.id.Name
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

// Two of three members die while a fourth joins, and the operator takes both out by force. Whoever
// was joining is no candidate of the fork, and learns it.
func TestAJoinerLearnsThatAForkDoesWithoutIt(t *testing.T) {
	simulate(t, func(w *world) {
		a, b, c := w.trio()
		d := w.start("d", seeds("a", "b", "c"), stuck)
		w.until("d is admitted", 10*time.Second, func() bool { return d.m.Current() != nil })
		time.Sleep(time.Second)
		b.crash()
		c.crash()
		time.Sleep(3 * time.Second)
		for _, p := range []*process{b, c} {
			if _, err := a.m.Leave(w.ctx(30*time.Second), p.id.Name, true); err != nil {
				t.Fatal(err)
			}
		}
		w.until("a is alone", time.Minute, func() bool { return a.m.Current().N() == 1 })
		w.until("d's life ends", time.Minute, d.over)
	})
}

// A joiner that has copied everything is cut off and given up, and all members restart before it is
// back: nobody whom it knows is there any more.
func TestAJoinerLearnsThatAllMembersAreOthers(t *testing.T) {
	simulate(t, func(w *world) {
		a, b, c := w.trio()
		all := seeds("a", "b", "c")
		leader := w.leader(a, b, c)
		rest := others(leader, a, b, c)
		rest[0].crash()
		vacant := w.start(rest[0].id.Name, all, stuck)
		w.until("the slot is vacant", 10*time.Second, func() bool { return leader.m.Current().Vacancies() == 1 })
		d := w.start("d", all)
		w.until("d is admitted", 10*time.Second, func() bool { return d.m.Current() != nil })
		time.Sleep(time.Second) // it has copied
		away := func() { w.net.isolate(d.id.Peer, true) }
		away()
		w.until("d is given up", 20*time.Second, func() bool { return leader.m.Current().Joining == nil })
		vacant.crash()
		members := []*process{leader, rest[1], w.start(rest[0].id.Name, all)}
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
		w.until("d's life ends", time.Minute, d.over)
	})
}

// A member hangs while a joiner waits for it. A poll then takes as long as its answers count, and
// both the joiner's growth and the hanging member's leave need one: neither may wait for the other.
func TestALeaveOfAMemberThatHangsWhileAnotherJoins(t *testing.T) {
	simulate(t, func(w *world) {
		every := func(c *Config, _ *process) { c.WriteQuorum = kv.QuorumAll } // so that the growth needs it
		all := seeds("a", "b", "c")
		a, b, c := w.start("a", all, every), w.start("b", all, every), w.start("c", all, every)
		w.agree(2*time.Second, a, b, c)
		leader := w.leader(a, b, c)
		hangs := others(leader, a, b, c)[0]
		d := w.start("d", all, every, stuck)
		w.until("d is admitted", 5*time.Second, func() bool { return leader.m.Current().Joining != nil })
		w.net.isolate(hangs.id.Peer, true)
		w.until("d knows", 5*time.Second, func() bool { return d.m.Current() != nil })
		d.driving.Go(func() { _ = d.m.Rebuilt(d.ctx, d.m.Current()) }) // it has copied, and asks to grow
		time.Sleep(4 * time.Second)
		if _, err := leader.m.Leave(w.ctx(10*time.Second), hangs.id.Name, false); err != nil {
			t.Error(err)
		}
	})
}
