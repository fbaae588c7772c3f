package topology

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"viakv/api/kv"
	"viakv/node/transport"
	"viakv/node/wire"
)

func TestJoin(t *testing.T) {
	simulate(t, func(w *world) {
		a := w.start("a")
		w.agree(time.Second, a)
		b := w.start("b", via("a"))
		top := w.agree(5*time.Second, a, b)
		if top.N() != 2 || top.W() != 2 {
			t.Errorf("%s", top.encode())
		}
		c := w.start("c", via("b"))
		top = w.agree(5*time.Second, a, b, c)
		if top.N() != 3 || top.Resized == 0 {
			t.Errorf("%s", top.encode())
		}
	})
}

// Only the leader can know that a join makes the quorums weak. Its refusal reaches the joiner with
// the cause.
func TestAJoinThatMakesQuorumsWeakIsRefused(t *testing.T) {
	simulate(t, func(w *world) {
		a := w.start("a", func(c *Config, _ *process) { c.ReadQuorum, c.WriteQuorum = 1, 1 })
		w.agree(time.Second, a)
		b := w.start("b", via("a"))
		w.until("the join ends", 5*time.Second, b.over)
		if !errors.Is(b.err, kv.ErrWeakQuorums) || !strings.Contains(b.err.Error(), "do not overlap") {
			t.Error(b.err)
		}
		c := w.start("c", seeds("a", "c")) // a node with seeds waits, because the mesh may change
		w.reason(c, "do not overlap")
		if cause := c.m.Status().Cause; !errors.Is(cause, kv.ErrWeakQuorums) {
			t.Errorf("the cause: %v", cause)
		}
	})
}

// Five nodes join at once. Each is admitted, copies, grows and is settled before the next (M6).
func TestFiveJoinAtOnce(t *testing.T) {
	simulate(t, func(w *world) {
		a, b, c := w.trio()
		nodes := []*process{a, b, c}
		for i := range 5 {
			nodes = append(nodes, w.start(fmt.Sprintf("j%d", i), via([]string{"a", "b", "c"}[i%3])))
		}
		top := w.agree(20*time.Second, nodes...)
		if top.N() != 8 || top.R() != 5 || top.W() != 5 {
			t.Errorf("%s", top.encode())
		}
	})
}

func TestJoinIsRefused(t *testing.T) {
	simulate(t, func(w *world) {
		a := w.start("a")
		w.agree(time.Second, a)
		for _, c := range []struct {
			name, via string
			at        transport.Address
			want      error
		}{
			{"b", "nowhere", "b:7000", kv.ErrPeerSilent},
			{"b", "b", "b:7000", kv.ErrAlreadyMember},
			{"a", "a", "other:7000", kv.ErrAlreadyMember},
		} {
			p := w.start(c.name, via(c.via), at(c.at))
			<-p.ended
			if !errors.Is(p.err, c.want) {
				t.Errorf("%s through %s: %v", c.name, c.via, p.err)
			}
			p.crash()
		}
		if e := a.m.current().Epoch; e != firstEpoch {
			t.Errorf("the refused joins moved the epoch to %d", e)
		}
		// Two nodes that wait for each other are no cluster.
		x, y := w.start("x", via("y")), w.start("y", via("x"))
		<-x.ended
		<-y.ended
		for _, err := range []error{x.err, y.err} {
			if !errors.Is(err, kv.ErrPeerUnreachable) || errors.Is(err, kv.ErrPeerSilent) {
				t.Error(err)
			}
		}
	})
}

// A joiner that dies is given up, and the next joiner gets its turn.
func TestAJoinerDies(t *testing.T) {
	simulate(t, func(w *world) {
		a, b, c := w.trio()
		d := w.start("d", via("a"), stuck)
		w.until("d is admitted", 5*time.Second, func() bool { return a.m.current().Joining != nil })
		e := w.start("e", via("b"))
		d.crash()
		top := w.agree(20*time.Second, a, b, c, e)
		if top.slot("d") != nil {
			t.Errorf("%s", top.encode())
		}
		// The dead joiner comes back under its name.
		d = w.start("d", via("c"))
		w.agree(20*time.Second, a, b, c, d, e)
	})
}

func TestAJoinerRestarts(t *testing.T) {
	simulate(t, func(w *world) {
		a, b, c := w.trio()
		d := w.start("d", via("a"), stuck)
		w.until("d is admitted", 5*time.Second, func() bool { return a.m.current().Joining != nil })
		d.crash()
		d = w.start("d", via("a"))
		w.agree(20*time.Second, a, b, c, d)
	})
}

// A joiner that is alive and cut off is given up like a dead one, and is told so.
func TestAJoinerIsAbandoned(t *testing.T) {
	simulate(t, func(w *world) {
		a, b, c := w.trio()
		d := w.start("d", via("a"), stuck)
		w.until("d is admitted", 5*time.Second, func() bool { return d.m.current() != nil && a.m.current().Joining != nil })
		w.net.isolate(d.id.Peer, true)
		w.until("d is given up", 20*time.Second, func() bool { return a.m.current().Joining == nil })
		w.net.isolate(d.id.Peer, false)
		if err := a.m.UpdatePeer(w.ctx(time.Second), d.id.Peer); err != nil && !errors.Is(err, kv.ErrNoSuchNode) {
			t.Error(err)
		}
		if err := d.m.UpdatePeer(w.ctx(time.Second), a.id.Peer); err != nil {
			t.Error(err)
		}
		w.until("d ends", 10*time.Second, d.over)
		if !errors.Is(d.err, ErrAbandoned) {
			t.Errorf("ended with %v", d.err)
		}
		w.agree(5*time.Second, a, b, c)
	})
}

// Two nodes join at once while one member is cut off. The second join waits until the first is
// sealed and settled. For a seal the members of the epoch before count.
func TestTwoJoinsWithAMemberCutOff(t *testing.T) {
	simulate(t, func(w *world) {
		a, b, c := w.trio()
		w.leader(a, b, c)
		w.until("a leader other than c", 10*time.Second, func() bool {
			if a.m.leader() != "c" && a.m.leader() != "" {
				return true
			}
			if l := w.leader(a, b, c); l == c {
				w.net.isolate(c.id.Peer, true)
				time.Sleep(3 * time.Second)
				w.net.isolate(c.id.Peer, false)
				time.Sleep(time.Second)
			}
			return false
		})
		w.net.isolate(c.id.Peer, true)
		d, e := w.start("d", via("a")), w.start("e", via("b"))
		w.until("both have joined", 30*time.Second, func() bool {
			top := a.m.current()
			return top.N() == 5 && top.Change == nil
		})
		w.net.isolate(c.id.Peer, false)
		w.agree(10*time.Second, a, b, c, d, e)
	})
}

// The leader dies at each step of a join.
func TestTheLeaderDiesInAJoin(t *testing.T) {
	for _, stage := range []struct {
		name    string
		reached func(t *Topology, leader *process) bool
	}{
		{"asked", func(*Topology, *process) bool { return true }},
		{"admitted", func(t *Topology, _ *process) bool { return t.Joining != nil }},
		{"learning", func(_ *Topology, l *process) bool { return len(l.m.group.snapshot().learners) > 0 }},
		{"grown", func(t *Topology, _ *process) bool { return t.N() == 4 && t.Change != nil }},
		{"voting", func(_ *Topology, l *process) bool { return l.m.Status().Voters == 4 }},
	} {
		t.Run(stage.name, func(t *testing.T) {
			simulate(t, func(w *world) {
				a, b, c := w.trio()
				nodes := []*process{a, b, c}
				leader := w.leader(nodes...)
				d := w.start("d", via("a"))
				for !stage.reached(leader.m.newest(), leader) {
					time.Sleep(50 * time.Microsecond)
				}
				leader.crash()
				time.Sleep(time.Second)
				for i := range nodes {
					if nodes[i] == leader {
						nodes[i] = w.start(leader.id.Name, seeds("a", "b", "c"))
					}
				}
				if stage.name == "asked" && d.over() { // d has asked the node that is gone, and failed
					d.crash()
					d = w.start("d", via("a"))
				}
				w.agree(30*time.Second, append(nodes, d)...)
			})
		})
	}
}

// The replies to the joiner's requests are lost, and the joiner asks again. It becomes one member.
func TestRebuiltIsIdempotent(t *testing.T) {
	simulate(t, func(w *world) {
		a, b, c := w.trio()
		w.leader(a, b, c)
		lost := 0
		w.net.filter(nil, func(from, _ transport.Address, request []byte) bool {
			if from == "d:7000" && wire.ControlOp(request[0]) == wire.OpSubmit && lost < 8 {
				lost++
				return true
			}
			return false
		})
		d := w.start("d", via("a"))
		top := w.agree(30*time.Second, a, b, c, d)
		if top.N() != 4 {
			t.Errorf("%s", top.encode())
		}
	})
}

// A joiner is admitted and does not hear of it: the answer and the leader's updates are lost until
// the joiner has been given up. It asks again under the same ID. Then it must not take the answer
// to its first request for an admission that still stands.
func TestAJoinerThatNeverHeardOfItsAdmission(t *testing.T) {
	for _, how := range []option{via("a"), seeds("a", "b", "c", "d")} {
		simulate(t, func(w *world) {
			a, b, c := w.trio()
			w.net.filter(func(_, to transport.Address, request []byte) bool {
				// Discovery passes: the leader looks for a process before it admits it.
				return to == "d:7000" && wire.ControlOp(request[0]) != wire.OpDiscover
			},
				func(from, _ transport.Address, request []byte) bool {
					return from == "d:7000" && wire.ControlOp(request[0]) == wire.OpSubmit
				})
			d := w.start("d", how)
			w.until("d is admitted", 10*time.Second, func() bool { return a.m.current().Joining != nil })
			w.until("d is given up", 20*time.Second, func() bool { return a.m.current().Joining == nil })
			w.net.filter(nil, nil)
			w.until("d's membership is over, or d is a member", time.Minute, func() bool { return d.over() || a.m.current().N() == 4 })
			if d.over() && !errors.Is(d.err, ErrAbandoned) {
				t.Errorf("ended with %v", d.err)
			}
			if d.over() { // its node begins another membership
				d.crash()
				d = w.start("d", how)
			}
			w.agree(time.Minute, a, b, c, d)
		})
	}
}

// A joiner that has copied everything is given up while it is cut off. When it is back, no updater
// sends it the topology any more. Its next request is refused, and the refusal tells it why.
func TestACopiedJoinerLearnsThatItWasGivenUp(t *testing.T) {
	simulate(t, func(w *world) {
		leader, other, _ := w.ledTrio()
		other.crash()
		// As long as a slot is vacant, no joiner becomes a member.
		w.start(other.id.Name, seeds("a", "b", "c"), stuck)
		w.until("the slot is vacant", 10*time.Second, func() bool { return leader.m.current().vacancies() == 1 })
		d := w.start("d", via(leader.id.Name))
		w.until("d is admitted", 10*time.Second, func() bool { return d.m.current() != nil })
		time.Sleep(time.Second) // d copies meanwhile
		w.net.isolate(d.id.Peer, true)
		w.until("d is given up", 20*time.Second, func() bool { return leader.m.current().Joining == nil })
		time.Sleep(10 * time.Second)
		w.net.isolate(d.id.Peer, false)
		w.until("d's membership ends", 10*time.Second, d.over)
		if !errors.Is(d.err, ErrAbandoned) {
			t.Errorf("ended with %v", d.err)
		}
	})
}
