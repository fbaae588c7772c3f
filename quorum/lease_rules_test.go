package quorum

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"viakv/api/kv"
	"viakv/quorum/lease"
	"viakv/quorum/replica"
	"viakv/quorum/replica/replicatest"
	"viakv/quorum/version"
	"viakv/ring/keyspace"
)

// The schedules in which the loss of a rule of leases does harm (rules_test.go).

// stopClock stops the clock by which a member measures the leases that it holds. Those that it gets
// from now on never end for it.
func (m *mesh) stopClock(member int) {
	v := m.nodes[member].Current()
	v.Held = lease.NewHeld(func() time.Duration { return 0 }, v.Term)
	v.Held.Enter(v.Place())
}

// wantAlone fails the test unless a node answers from its own copy.
func (nd *node) wantAlone(key, want string) {
	nd.m.t.Helper()
	before := nd.Stats().Local
	if nd.wantValue(key, want); nd.Stats().Local == before {
		nd.m.t.Fatal("the node did not answer from its own copy")
	}
}

// L4, L5: c answers alone, and what the others send it is lost. A set at a must not be answered as
// long as c does so: neither once a and b have acknowledged it, nor once they are asked to end the
// leases of c.
func TestASetWaitsForThoseWhoReadAlone(t *testing.T) {
	inMesh(t, 3, func(t *testing.T, m *mesh) {
		a, c := m.oldEverywhere()
		m.Lease(2, 0, 1)
		c.wantAlone("k", "old")
		a.silence(2)
		began, answered := time.Now(), make(chan error, 1)
		go func() {
			_, err := a.Set(bg, []byte("k"), []byte("new"), kv.Options{})
			answered <- err
		}()
		for end := time.Now().Add(3 * replicatest.Term); time.Now().Before(end); time.Sleep(time.Millisecond) {
			select {
			case err := <-answered:
				if err != nil {
					t.Fatal(err)
				}
				c.wantValue("k", "new")
				if took := time.Since(began); took < replicatest.Term {
					t.Errorf("answered after %v, before the leases are over", took)
				}
				return
			default:
			}
		}
		t.Errorf("not answered %v after the leases began", time.Since(began))
	})
}

// L4: c gets a lease of a just before a stores a record in its own copy, and does not find that
// record. What the others send c is lost. The names at a are looked up later, so that the set waits
// for c.
func TestNamesAreLookedUpAfterTheStore(t *testing.T) {
	inMesh(t, 3, func(t *testing.T, m *mesh) {
		a, c := m.oldEverywhere()
		a.silence(2)
		a.Current().Store = &hooked{Store: m.Stores[0], before: func() {
			m.Lease(2, 0)
			c.wantAlone("k", "old")
		}}
		a.mustSet("k", "new")
		c.wantValue("k", "new")
	})
}

// oldEverywhere sets a key at a, and has it read at c.
func (m *mesh) oldEverywhere() (a, c *node) {
	a, c = m.nodes[0], m.nodes[2]
	a.mustSet("k", "old")
	synctest.Wait()
	c.wantValue("k", "old")
	return a, c
}

// hooked is a store that lets a test do something once: right before or after the first Put or
// Vote, or right before or after the first look at a key.
type hooked struct {
	replica.Store
	before, after, looking, looked func()
}

// once runs a hook, and takes it away first.
func once(hook *func()) {
	if f := *hook; f != nil {
		*hook = nil
		f()
	}
}

// atPut has f run right before the nth Put or Vote from now on.
func (h *hooked) atPut(n int, f func()) {
	h.before = func() {
		if n == 1 {
			f()
		} else {
			h.atPut(n-1, f)
		}
	}
}

func (h *hooked) Put(e version.Epoch, hash keyspace.Hash, key []byte, r *version.Record) (bool, error) {
	once(&h.before)
	defer once(&h.after)
	return h.Store.Put(e, hash, key, r)
}

func (h *hooked) Vote(e version.Epoch, hash keyspace.Hash, key []byte, r *version.Record) (bool, error) {
	once(&h.before)
	defer once(&h.after)
	return h.Store.Vote(e, hash, key, r)
}

func (h *hooked) Get(e version.Epoch, hash keyspace.Hash, key, dst []byte) (version.Record, []byte, error) {
	once(&h.looking)
	defer once(&h.looked)
	return h.Store.Get(e, hash, key, dst)
}

func (h *hooked) Tag(e version.Epoch, hash keyspace.Hash, key, dst []byte) (version.Record, []byte, error) {
	once(&h.looking)
	defer once(&h.looked)
	return h.Store.Tag(e, hash, key, dst)
}

// L4: as above, and a votes for a tombstone.
func TestNamesAreLookedUpAfterTheVote(t *testing.T) {
	inMesh(t, 3, func(t *testing.T, m *mesh) {
		a, c := m.oldEverywhere()
		a.silence(2)
		a.Current().Store = &hooked{Store: m.Stores[0], before: func() {
			m.Lease(2, 0)
			c.wantAlone("k", "old")
		}}
		if err := a.RemoveHere(bg, []byte("k"), kv.Options{}); err != nil {
			t.Fatal(err)
		}
		if got, _, err := c.Get(bg, nil, []byte("k"), kv.Options{}); !errors.Is(err, kv.ErrMissing) {
			t.Errorf("what was removed is there: %q, %v", got, err)
		}
	})
}

// L4, L7: c gets a lease of a just before a looks at its own copy for a read. By then a and b hold
// a record that c does not. The names at a are looked up later, so that the read brings it to c.
func TestNamesAreLookedUpAfterTheLook(t *testing.T) {
	for name, read := range map[string]func(a *node) (version.Tag, error){
		"get": func(a *node) (version.Tag, error) {
			_, tag, err := a.Get(bg, nil, []byte("k"), kv.Options{})
			return tag, err
		},
		"is": func(a *node) (version.Tag, error) { return a.Has(bg, []byte("k"), kv.Options{}) },
	} {
		inMesh(t, 3, func(t *testing.T, m *mesh) {
			a, c := m.oldEverywhere()
			newer := version.Record{Tag: version.Tag{Counter: 1000, Incarnation: 9}, Value: []byte("new")}
			a.Current().Store = &hooked{Store: m.Stores[0], looking: func() {
				m.Lease(2, 0)
				c.wantAlone("k", "old")
				m.Stores[0].Merge("k", newer)
				m.Stores[1].Merge("k", newer)
			}}
			if tag, err := read(a); tag != newer.Tag || err != nil {
				t.Fatalf("%s: %v, %v", name, tag, err)
			}
			c.wantValue("k", "new")
		})
	}
}

// L4, L7: a read asks all replicas. c, which b names, has answered with something older, which is
// no acknowledgement of the record. So the read brings the record to c before it answers.
func TestAnOlderAnswerOfAHolderIsNoAcknowledgement(t *testing.T) {
	inMesh(t, 3, func(t *testing.T, m *mesh) {
		a, c := m.oldEverywhere()
		m.Lease(2, 1)
		c.wantAlone("k", "old")
		newer := version.Record{Tag: version.Tag{Counter: 1000, Incarnation: 9}, Value: []byte("new")}
		m.Stores[0].Merge("k", newer)
		m.Stores[1].Merge("k", newer)
		got, _, err := a.Get(bg, nil, []byte("k"), kv.Options{R: kv.QuorumAll})
		if string(got) != "new" || err != nil {
			t.Fatalf("%q, %v", got, err)
		}
		c.wantValue("k", "new")
	})
}

// L3: a has missed what b has set, and has no lease when it looks at its copy. The lease that it
// gets right after that, and the record, do not make what it has seen the answer.
func TestALeaseThatBeginsAfterTheLookDoesNotCount(t *testing.T) {
	for name, do := range map[string]func(a *node) error{
		"get":    func(a *node) error { _, _, err := a.Get(bg, nil, []byte("k"), kv.Options{}); return err },
		"is":     func(a *node) error { _, err := a.Has(bg, []byte("k"), kv.Options{}); return err },
		"remove": func(a *node) error { return a.RemoveHere(bg, []byte("k"), kv.Options{}) },
	} {
		inMesh(t, 3, func(t *testing.T, m *mesh) {
			a, b := m.nodes[0], m.nodes[1]
			m.overtake(b, 0)
			a.Current().Store = &hooked{Store: m.Stores[0], looked: func() {
				m.Stores[0].Merge("k", *m.Stores[1].Record("k"))
				m.Lease(0, 1)
			}}
			if err := do(a); err != nil {
				t.Errorf("%s: %v, and b was told before that it has set the key", name, err)
			}
		})
	}
}

// L6, L7: a clear is not sealed. b and c know of it, a does not, and answers alone from what was
// there before. As long as it may, c must not answer that there is nothing: not from its own copy,
// and not from the answer of b.
func TestAbsenceIsNotConfirmedBeforeAClearIsSealed(t *testing.T) {
	inMesh(t, 3, func(t *testing.T, m *mesh) {
		a, c := m.nodes[0], m.nodes[2]
		a.mustSet("k", "v")
		synctest.Wait()
		m.Lease(0, 1)
		a.wantAlone("k", "v")
		m.Epoch++
		for i := 1; i < 3; i++ {
			m.Stores[i].Advance(m.Epoch, func(version.Record) bool { return false })
			m.nodes[i].Install(m.View(i, func(v *replica.View) { v.Generation, v.Cleared = 2, m.Epoch }))
		}
		m.Lease(2, 1)
		_, _, err := c.Get(bg, nil, []byte("k"), kv.Options{Deadline: time.Now().Add(replicatest.Term / 2)})
		if err == nil {
			t.Fatal("what was cleared is there")
		}
		a.wantAlone("k", "v") // the schedule has come about
		if errors.Is(err, kv.ErrMissing) {
			t.Error("c has answered that nothing is there, and a has answered with the value after that")
		}
	})
}

// L14: the clock of a has stopped, and so a does not notice that its leases of b and c are over. c,
// d and e have completed a write that a does not hold. a writes without asking, under a lower tag.
// b, which holds nothing of the key, vouches for the record, and the others do not. That is one
// fewer than R.
func TestASetForWhichTooFewVouchIsUnknown(t *testing.T) {
	inMesh(t, 5, func(t *testing.T, m *mesh) {
		a, d := m.nodes[0], m.nodes[3]
		m.stopClock(0)
		m.Lease(0, 1, 2)
		time.Sleep(2 * replicatest.Term)
		m.overtake(d, 0, 1)
		_, err := a.Set(bg, []byte("k"), []byte("late"), kv.Options{})
		m.wantNotLost(d, "late", err)
		if n := a.Stats().OneRound; err == nil && n != 1 {
			t.Errorf("%d writes in one round", n)
		}
	})
}

// L14: as above, with three members. Right after a has found its own copy to hold nothing newer, it
// gets a new lease of b, and what b and c have completed. b would vouch by that lease. But what a
// writes rests on the lease from before.
func TestSessionsAreLookedUpBeforeTheOwnCopy(t *testing.T) {
	inMesh(t, 3, func(t *testing.T, m *mesh) {
		a, c := m.nodes[0], m.nodes[2]
		m.stopClock(0)
		m.Lease(0, 1)
		time.Sleep(2 * replicatest.Term)
		m.overtake(c, 0)
		hook := &hooked{Store: m.Stores[0], after: func() {
			m.Stores[0].Merge("k", *m.Stores[1].Record("k"))
			m.Lease(0, 1)
		}}
		a.Current().Store = hook
		_, err := a.Set(bg, []byte("k"), []byte("late"), kv.Options{})
		if hook.after != nil {
			t.Error("the test's schedule did not come about")
		}
		m.wantNotLost(c, "late", err)
	})
}

// overtake lets a node complete a write under a high tag, of which some members hear nothing.
func (m *mesh) overtake(at *node, unaware ...int) {
	at.Current().Counter.Observe(1000)
	at.filter = func(c *Call) bool {
		for _, u := range unaware {
			if c.Member == u {
				at.swallow(c)
				return true
			}
		}
		return false
	}
	at.mustSet("k", "new")
	at.filter = nil
	for _, u := range unaware {
		if !m.Stores[u].Record("k").Tag.IsZero() {
			m.t.Fatal("the test's schedule did not come about")
		}
	}
}

// wantNotLost fails the test if a set was answered and a later read at another node does not find
// its value.
func (m *mesh) wantNotLost(at *node, value string, err error) {
	m.t.Helper()
	if err == nil {
		at.wantValue("k", value)
		return
	}
	var u *kv.Unavailable
	if !errors.As(err, &u) || u.Outcome != kv.Unknown {
		m.t.Errorf("%v, want an unknown outcome", err)
	}
}

// L14: the clock of a has stopped. b and c have completed a write that a does not hold. a writes
// without asking, under a lower tag. Then the epoch ends. At the next one a gets that write by a
// repair, and a new lease of b, which vouches for the record from then on. So it depends on a's own
// copy that the set is not answered.
func TestTheOwnCopyIsJudgedAnew(t *testing.T) {
	inMesh(t, 3, func(t *testing.T, m *mesh) {
		a, c := m.nodes[0], m.nodes[2]
		m.stopClock(0)
		m.Lease(0, 1)
		time.Sleep(2 * replicatest.Term)
		m.overtake(c, 0)
		a.betweenThePhases(func() {
			m.Advance(nil, 0, 1, 2)
			m.Stores[0].Merge("k", *m.Stores[1].Record("k"))
			m.Lease(0, 1)
		})
		_, err := a.Set(bg, []byte("k"), []byte("late"), kv.Options{})
		if m.nodes[0].Stats().Renewed == 0 {
			t.Error("the test's schedule did not come about")
		}
		m.wantNotLost(c, "late", err)
	})
}

// L6: the own copy holds a record before anybody else is sent it. So its coordinator can complete
// whatever others may have of it.
func TestTheOwnCopyIsStoredFirst(t *testing.T) {
	for name, do := range map[string]func(m *mesh, nd *node) error{
		"set": func(_ *mesh, nd *node) error {
			_, err := nd.Set(bg, []byte("k"), []byte("v"), kv.Options{})
			return err
		},
		"set without asking": func(m *mesh, nd *node) error {
			m.Lease(0, 1, 2)
			_, err := nd.Set(bg, []byte("k"), []byte("v"), kv.Options{})
			return err
		},
		"remove": func(_ *mesh, nd *node) error { return nd.RemoveHere(bg, []byte("k"), kv.Options{}) },
		"import": func(_ *mesh, nd *node) error {
			_, err := nd.Import(bg, []byte("k"), []byte("v"), 50, kv.Options{})
			return err
		},
	} {
		inMesh(t, 3, func(t *testing.T, m *mesh) {
			nd, sent := m.nodes[0], 0
			nd.mustSet("k", "old")
			synctest.Wait()
			nd.filter = func(c *Call) bool {
				if c.Kind == Store || c.Kind == Vote {
					sent++
					if own := m.Stores[0].Record("k").Tag; own != c.Records[0].Record.Tag {
						t.Errorf("%s: %v is sent while the own copy holds %v", name, c.Records[0].Record.Tag, own)
					}
				}
				return false
			}
			if err := do(m, nd); err != nil || sent != 2 {
				t.Errorf("%s: %v, sent %d times", name, err, sent)
			}
		})
	}
}

// L6: a read that asks for less than the promise does not take what it has found for complete.
func TestAWeakReadConfirmsNothing(t *testing.T) {
	inMesh(t, 3, func(t *testing.T, m *mesh) {
		held := version.Record{Tag: version.Tag{Counter: 7, Incarnation: 9}, Value: []byte("v")}
		m.Stores[0].Hold("k", held)
		nd := m.nodes[0]
		got, _, err := nd.Get(bg, nil, []byte("k"), kv.Options{R: 1})
		if string(got) != "v" || err != nil {
			t.Fatalf("%q, %v", got, err)
		}
		if nd.Current().Confirmed(&held) {
			t.Error("a record that one replica holds is confirmed")
		}
	})
}
