package topology

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"viakv/api/kv"
	"viakv/node/transport"
	"viakv/node/wire"
)

// Every node crashes in turn, leader and founder among them. Its slot is vacated, rebuilt and
// active again under a new incarnation, and the dead process has no vote any more (M2, M10, E6).
func TestEveryNodeCrashesAndReturns(t *testing.T) {
	simulate(t, func(w *world) {
		a, b, c := w.trio()
		nodes := []*process{a, b, c}
		for round := range 2 {
			for i := range nodes {
				w.leader(nodes...)
				before := w.agree(10*time.Second, nodes...)
				old := nodes[i]
				old.crash()
				if round == 0 {
					time.Sleep(3 * time.Second)
				}
				nodes[i] = w.start(old.id.Name, seeds("a", "b", "c"))
				after := w.agree(10*time.Second, nodes...)
				if after.Cluster != before.Cluster {
					t.Fatal("a second cluster was founded")
				}
				was, is := before.slot(old.id.Name), after.slot(old.id.Name)
				if is.Incarnation <= was.Incarnation || is.BootID != nodes[i].id.BootID || is.Since == 0 {
					t.Errorf("slot %+v became %+v", was, is)
				}
				if after.N() != 3 {
					t.Errorf("N is %d", after.N())
				}
			}
		}
	})
}

func TestTheLeaderCrashes(t *testing.T) {
	simulate(t, func(w *world) {
		a, b, c := w.trio()
		nodes := []*process{a, b, c}
		for range 4 {
			old := w.leader(nodes...)
			old.crash()
			rest := others(old, nodes...)
			took := w.until("another leader", 5*time.Second, func() bool {
				l := rest[0].m.leader()
				return l != "" && l != old.id.Name
			})
			t.Logf("another leader after %v", took)
			nodes = append(rest, w.start(old.id.Name, seeds("a", "b", "c")))
			w.agree(10*time.Second, nodes...)
		}
	})
}

// A process that dies while it rebuilds is followed by another process. Each of them gets an
// incarnation of its own.
func TestAPendingNodeCrashesAgain(t *testing.T) {
	simulate(t, func(w *world) {
		a, b, c := w.trio()
		w.leader(a, b, c)
		seen := map[uint64]bool{}
		for range 3 {
			c.crash()
			c = w.start("c", seeds("a", "b", "c"), stuck)
			w.until("c rebuilds", 10*time.Second, func() bool { return c.m.Status().State == stateRebuilding })
			top := c.m.current()
			w.until("adopted", time.Second, func() bool { top = c.m.current(); return top != nil })
			pending := uint64(top.slot("c").Pending)
			if pending == 0 || seen[pending] {
				t.Errorf("pending incarnation %d again", pending)
			}
			seen[pending] = true
			if err := a.m.Purge(w.ctx(5*time.Second), 1, a.m.current().Epoch); !errors.Is(err, errVacant) {
				t.Errorf("purge while a slot is vacant: %v", err)
			}
		}
		c.crash()
		c = w.start("c", seeds("a", "b", "c"))
		w.agree(10*time.Second, a, b, c)
	})
}

// Two of three nodes restart at once. Nothing can be agreed on: the nodes wait, and found no new
// cluster.
func TestAMajorityIsLost(t *testing.T) {
	simulate(t, func(w *world) {
		a, b, c := w.trio()
		w.leader(a, b, c)
		before := a.m.current()
		b.crash()
		c.crash()
		b, c = w.start("b", seeds("a", "b", "c")), w.start("c", seeds("a", "b", "c"))
		time.Sleep(20 * time.Second)
		if a.m.current().Epoch != before.Epoch || b.m.current() != nil || c.m.current() != nil {
			t.Error("a minority agreed on something")
		}
		if _, err := a.m.Clear(w.ctx(2 * time.Second)); !errors.Is(err, kv.ErrUnavailable) {
			t.Errorf("clear: %v", err)
		}
		if s := b.m.Status(); s.State != stateJoining || s.Reason == "" {
			t.Errorf("b: %+v", s)
		}
	})
}

// All nodes restart at once. Every seed says that it is fresh, so a new cluster is right.
func TestAllRestart(t *testing.T) {
	simulate(t, func(w *world) {
		a, b, c := w.trio()
		before := a.m.current()
		a.crash()
		b.crash()
		c.crash()
		all := seeds("a", "b", "c")
		a, b, c = w.start("a", all), w.start("b", all), w.start("c", all)
		if after := w.agree(5*time.Second, a, b, c); after.Cluster == before.Cluster {
			t.Error("the same cluster without its memory")
		}
	})
}

// Two nodes come back, each at the other's address. A name is an identity, an address is not.
func TestAddressesAreSwapped(t *testing.T) {
	simulate(t, func(w *world) {
		nodes := w.cluster(five...)
		w.leader(nodes...)
		nodes[3].crash()
		nodes[4].crash()
		nodes[3], nodes[4] = w.start("d", seeds(five...), at("e:7000")), w.start("e", seeds(five...), at("d:7000"))
		top := w.agree(10*time.Second, nodes...)
		if top.slot("d").Peer != "e:7000" || top.slot("e").Peer != "d:7000" {
			t.Errorf("%s", top.encode())
		}
	})
}

func TestADuplicateNameIsRefused(t *testing.T) {
	simulate(t, func(w *world) {
		a, b, c := w.trio()
		w.leader(a, b, c)
		twin := w.start("b", seeds("a", "b", "c"), at("elsewhere:1"))
		<-twin.ended
		if !errors.Is(twin.err, kv.ErrAlreadyMember) {
			t.Errorf("ended with %v", twin.err)
		}
		w.agree(time.Second, a, b, c)
	})
}

// A process was cut off while another process took over its name. It learns that it has no slot any
// more.
func TestAReplacedProcessEnds(t *testing.T) {
	simulate(t, func(w *world) {
		a, b, c := w.trio()
		w.leader(a, b, c)
		again := w.start("b", seeds("a", "c"), at("elsewhere:1"))
		w.net.isolate(b.id.Peer, true)
		w.agree(10*time.Second, a, again, c)
		w.net.isolate(b.id.Peer, false)
		// No member sends b the topology any more. An update that b itself sends brings the newer
		// topology back.
		if err := b.m.UpdatePeer(w.ctx(time.Second), a.id.Peer); err != nil {
			t.Fatal(err)
		}
		<-b.ended
		if !errors.Is(b.err, ErrReplaced) {
			t.Errorf("ended with %v", b.err)
		}
	})
}

// The leader dies at each step of a reboot. The next leader goes on from what is agreed (E7).
func TestTheLeaderDiesInAReboot(t *testing.T) {
	for _, stage := range []struct {
		name    string
		reached func(leader, again *process) bool
	}{
		{"the old vote is removed", func(l, again *process) bool { return l.m.Status().Voters == 4 }},
		{"the slot is vacated", func(l, again *process) bool { return l.m.newest().slot(again.id.Name).BootID == again.id.BootID }},
		{"the new process learns", func(l, again *process) bool { return len(l.m.group.snapshot().learners) > 0 }},
		{"the new process votes", func(l, again *process) bool {
			return l.m.Status().Voters == 5 && l.m.newest().slot(again.id.Name).BootID == again.id.BootID
		}},
	} {
		t.Run(stage.name, func(t *testing.T) {
			simulate(t, func(w *world) {
				leader, rest := w.quintet()
				rest[0].crash()
				rest[0] = w.start(rest[0].id.Name, seeds(five...))
				for !stage.reached(leader, rest[0]) {
					time.Sleep(50 * time.Microsecond)
				}
				leader.crash()
				time.Sleep(time.Second)
				w.agree(20*time.Second, append(rest, w.start(leader.id.Name, seeds(five...)))...)
			})
		})
	}
}

// The replies to an entering process are lost. It asks again, and gets one incarnation.
func TestEnteringIsIdempotent(t *testing.T) {
	simulate(t, func(w *world) {
		a, b, c := w.trio()
		w.leader(a, b, c)
		before := a.m.current().Epoch
		c.crash()
		lost := 0
		w.net.filter(nil, func(from, _ transport.Address, request []byte) bool {
			if from == "c:7000" && wire.ControlOp(request[0]) == wire.OpSubmit && lost < 3 {
				lost++
				return true
			}
			return false
		})
		c = w.start("c", seeds("a", "b", "c"), stuck)
		w.until("c rebuilds", 10*time.Second, func() bool { return c.m.Status().State == stateRebuilding })
		time.Sleep(5 * time.Second)
		if e := a.m.current().Epoch; e != before+1 {
			t.Errorf("%d epochs for one vacating", e-before)
		}
	})
}

// A member is cut off, and another process takes over its slot. Once the member is reachable again,
// it learns that within two seconds, although no member sends it anything: the leader has forgotten
// it.
func TestAReplacedProcessLearnsIt(t *testing.T) {
	for _, leads := range []bool{false, true} {
		t.Run(fmt.Sprintf("leads=%v", leads), func(t *testing.T) {
			simulate(t, func(w *world) {
				a, b, c := w.trio()
				paused := w.leader(a, b, c)
				if !leads {
					paused = others(paused, a, b, c)[0]
				}
				w.net.isolate(paused.id.Peer, true)
				next := w.start(paused.id.Name, seeds("a", "b", "c"), at("elsewhere:7000"))
				w.agree(20*time.Second, append(others(paused, a, b, c), next)...)
				time.Sleep(10 * time.Second)
				w.net.isolate(paused.id.Peer, false)
				w.until("the replaced process ends", 2*time.Second, paused.over)
				if !errors.Is(paused.err, ErrReplaced) {
					t.Errorf("ended with %v", paused.err)
				}
			})
		})
	}
}

// A member is cut off and taken out of the cluster meanwhile. It learns that in the same way.
func TestARemovedMemberLearnsIt(t *testing.T) {
	simulate(t, func(w *world) {
		leader, gone, other := w.ledTrio()
		w.net.isolate(gone.id.Peer, true)
		time.Sleep(2 * time.Second)
		if _, err := leader.m.Leave(w.ctx(10*time.Second), gone.id.Name, false); err != nil {
			t.Fatal(err)
		}
		w.agree(10*time.Second, leader, other)
		time.Sleep(10 * time.Second)
		w.net.isolate(gone.id.Peer, false)
		w.until("the removed member ends", 2*time.Second, gone.over)
		if gone.err != nil {
			t.Errorf("ended with %v", gone.err)
		}
	})
}
