package topology

import (
	"errors"
	"slices"
	"testing"
	"time"

	"viakv/api/kv"
)

func TestLeave(t *testing.T) {
	for _, who := range []string{"self", "another", "leader", "leader of itself", "dead"} {
		t.Run(who, func(t *testing.T) {
			simulate(t, func(w *world) {
				leader, b, c := w.ledTrio()
				leaver, asked := b, leader
				switch who {
				case "self":
					asked = leaver
				case "another":
					asked = c
				case "leader":
					leaver, asked = leader, c
				case "leader of itself":
					leaver, asked = leader, leader
				case "dead":
					leaver.crash()
					time.Sleep(2 * time.Second)
				}
				name := leaver.id.Name
				if leaver == asked {
					name = ""
				}
				report, err := asked.m.Leave(w.ctx(10*time.Second), name, false)
				if err != nil {
					w.dump()
					t.Fatal(err)
				}
				if report.Node != leaver.id.Name || report.Epoch == 0 || report.Loss != nil {
					t.Errorf("%+v", report)
				}
				w.agree(10*time.Second, others(leaver, leader, b, c)...)
				if who != "dead" {
					<-leaver.ended
					if leaver.err != nil {
						t.Errorf("the leaver ended with %v", leaver.err)
					}
					if role, _ := leaver.m.current().Role(leaver.id.BootID); role != Stranger { // M7
						t.Errorf("the leaver is %v", role)
					}
					if s := leaver.m.Status(); s.State != stateLeft {
						t.Errorf("%+v", s)
					}
				}
			})
		})
	}
}

func TestTwoBecomeOne(t *testing.T) {
	simulate(t, func(w *world) {
		a := w.start("a")
		w.agree(time.Second, a)
		b := w.start("b", via("a"))
		w.agree(5*time.Second, a, b)
		if _, err := a.m.Leave(w.ctx(10*time.Second), "", false); err != nil {
			t.Fatal(err)
		}
		<-a.ended
		w.agree(5*time.Second, b)
		if forgotten := b.forgotten(); !slices.Equal(forgotten, addresses("a")) {
			t.Errorf("forgotten addresses: %v", forgotten)
		}
		for _, force := range []bool{false, true} {
			if _, err := b.m.Leave(w.ctx(5*time.Second), "", force); !errors.Is(err, kv.ErrLastMember) {
				t.Errorf("the last one leaves, by force: %v: %v", force, err)
			}
		}
		if _, err := b.m.Leave(w.ctx(5*time.Second), "a", false); !errors.Is(err, kv.ErrNoSuchNode) {
			t.Errorf("one that left: %v", err)
		}
	})
}

// A leave after which too few members would serve is refused, and changes nothing.
func TestLeaveIsRefused(t *testing.T) {
	simulate(t, func(w *world) {
		leader, dead, other := w.ledTrio()
		dead.crash()
		time.Sleep(2 * time.Second)
		before := leader.m.current().Epoch
		if _, err := leader.m.Leave(w.ctx(5*time.Second), other.id.Name, false); !errors.Is(err, kv.ErrTooFewServe) {
			t.Errorf("one of two that live: %v", err)
		}
		time.Sleep(time.Second)
		if e := leader.m.current().Epoch; e != before {
			t.Errorf("the epoch moved from %d to %d", before, e)
		}
		if v := leader.m.Status().Voters; v != 3 {
			t.Errorf("%d voters", v)
		}
		again := w.start(dead.id.Name, seeds("a", "b", "c"))
		w.agree(10*time.Second, leader, other, again)
	})
}

// A leave waits for another slot that rebuilds.
func TestLeaveWaitsForARebuild(t *testing.T) {
	simulate(t, func(w *world) {
		leader, rest := w.quintet()
		rest[0].crash()
		pending := w.start(rest[0].id.Name, seeds(five...), stuck)
		w.until("it rebuilds", 10*time.Second, func() bool { return pending.m.Status().State == stateRebuilding })
		if _, err := leader.m.Leave(w.ctx(5*time.Second), rest[1].id.Name, false); !errors.Is(err, kv.ErrUnavailable) {
			t.Errorf("during a rebuild: %v", err)
		}
		pending.crash()
		rest[0] = w.start(pending.id.Name, seeds(five...))
		if _, err := leader.m.Leave(w.ctx(10*time.Second), rest[1].id.Name, false); err != nil {
			t.Errorf("after it: %v", err)
		}
		w.agree(10*time.Second, leader, rest[0], rest[2], rest[3])
	})
}

// A member that has joined and died before it ran its barrier can be taken out again, though its
// join never settles.
func TestAnUnsettledJoinerLeaves(t *testing.T) {
	simulate(t, func(w *world) {
		a, b, c := w.trio()
		d := w.start("d", via("a"), lazy)
		w.until("d has a slot", 10*time.Second, func() bool { return a.m.current().N() == 4 })
		d.crash()
		if _, err := a.m.Leave(w.ctx(3*time.Second), "c", false); err == nil {
			t.Error("another leave did not wait for settling")
		}
		if _, err := a.m.Leave(w.ctx(10*time.Second), "d", false); err != nil {
			t.Fatal(err)
		}
		w.agree(10*time.Second, a, b, c)
	})
}

// The leader dies in the middle of a leave. The node that asked repeats its request, and the leave
// takes place once.
func TestTheLeaderDiesInALeave(t *testing.T) {
	for _, stage := range []struct {
		name    string
		reached func(l *process) bool
	}{
		{"the vote is removed", func(l *process) bool { return l.m.Status().Voters == 4 }},
		{"agreed", func(l *process) bool { return l.m.newest().N() == 4 }},
	} {
		t.Run(stage.name, func(t *testing.T) {
			simulate(t, func(w *world) {
				leader, rest := w.quintet()
				done := make(chan error, 1)
				go func() {
					_, err := rest[1].m.Leave(w.ctx(20*time.Second), rest[0].id.Name, false)
					done <- err
				}()
				for !stage.reached(leader) {
					time.Sleep(50 * time.Microsecond)
				}
				leader.crash()
				time.Sleep(500 * time.Millisecond)
				again := w.start(leader.id.Name, seeds(five...))
				if err := <-done; err != nil {
					t.Fatal(err)
				}
				top := w.agree(20*time.Second, rest[1], rest[2], rest[3], again)
				if top.N() != 4 {
					t.Errorf("%s", top.encode())
				}
			})
		})
	}
}

// A member dies, or says that it is about to stop, and at once another member is to leave. The
// leave is refused within a second, since it would leave the cluster without its quorum. This holds
// whichever live member is asked, and whichever member led. Nothing has changed, and the cluster
// goes on when the dead member is back.
func TestALeaveRightAfterACrashIsRefused(t *testing.T) {
	for _, leads := range []string{"dead", "leaver", "stays"} {
		for _, how := range []string{"crashes", "falls silent", "is about to stop"} {
			t.Run(leads+" leads, one "+how, func(t *testing.T) {
				simulate(t, func(w *world) {
					leader, b, c := w.ledTrio()
					dead, leaver, stays := b, c, leader
					switch leads {
					case "dead":
						dead, leaver, stays = leader, b, c
					case "leaver":
						dead, leaver, stays = b, leader, c
					}
					time.Sleep(5 * time.Second) // the leader hears from every member until now
					before := stays.m.current().Epoch
					switch how {
					case "crashes":
						dead.crash()
					case "falls silent":
						w.net.isolate(dead.id.Peer, true)
					case "is about to stop":
						dead.stopping.Store(true)
					}
					for _, asked := range []*process{stays, leaver} {
						began := time.Now()
						_, err := asked.m.Leave(w.ctx(10*time.Second), leaver.id.Name, false)
						if !errors.Is(err, kv.ErrQuorumLoss) {
							t.Errorf("asked of %s: %v", asked.id.Name, err)
						}
						if took := time.Since(began); took > time.Second {
							t.Errorf("asked of %s: answered after %v", asked.id.Name, took)
						}
					}
					time.Sleep(5 * time.Second)
					if now := stays.m.current(); now.Epoch != before || now.N() != 3 {
						t.Errorf("the epoch moved from %d to %d, %d members", before, now.Epoch, now.N())
					}
					switch how {
					case "falls silent":
						w.net.isolate(dead.id.Peer, false)
					case "is about to stop":
						dead.crash()
						fallthrough
					default:
						dead = w.start(dead.id.Name, seeds("a", "b", "c"))
					}
					w.agree(20*time.Second, dead, leaver, stays)
				})
			})
		}
	}
}

// A joiner votes beside four members, and does not vote beside three (see scene.odd). When one of
// four leaves while another node joins, the joiner and one of the remaining three may die at once.
// The group goes on, whether that one led or not.
func TestAJoinerAndAMemberDieAfterALeave(t *testing.T) {
	for _, dies := range []string{"the leader", "a follower"} {
		t.Run(dies, func(t *testing.T) {
			simulate(t, func(w *world) {
				four := w.cluster("a", "b", "c", "d")
				e := w.start("e", via("a"), stuck)
				all := append(slices.Clone(four), e)
				w.until("the joiner votes", 10*time.Second, func() bool { return votersOf(all) == 5 })
				leaver := others(w.leader(all...), four...)[0]
				if _, err := four[0].m.Leave(w.ctx(10*time.Second), leaver.id.Name, false); err != nil {
					t.Fatal(err)
				}
				rest := others(leaver, four...)
				dead := w.leader(rest...)
				if dies == "a follower" {
					dead = others(dead, rest...)[0]
				}
				e.crash()
				dead.crash()
				rest = others(dead, rest...)
				again := w.start(dead.id.Name, seeds("a", "b", "c", "d"))
				w.agree(20*time.Second, append(rest, again)...)
			})
		})
	}
}
