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
		a, c := m.nodes[0], m.nodes[2]
		a.mustSet("k", "old")
		synctest.Wait()
		c.wantValue("k", "old")
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
		a, c := m.nodes[0], m.nodes[2]
		a.mustSet("k", "old")
		synctest.Wait()
		c.wantValue("k", "old")
		a.silence(2)
		a.Current().Store = &hooked{Store: m.Stores[0], before: func() {
			m.Lease(2, 0)
			c.wantAlone("k", "old")
		}}
		a.mustSet("k", "new")
		c.wantValue("k", "new")
	})
}

// hooked is a store that lets a test do something once, right before the first Put.
type hooked struct {
	replica.Store
	before func()
}

func (h *hooked) Put(e version.Epoch, hash keyspace.Hash, key []byte, r *version.Record) (bool, error) {
	if f := h.before; f != nil {
		h.before = nil
		f()
	}
	return h.Store.Put(e, hash, key, r)
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
