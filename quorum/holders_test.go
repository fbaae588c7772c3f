package quorum

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"viakv/api/kv"
	"viakv/quorum/lease"
	"viakv/quorum/replica"
	"viakv/quorum/replica/replicatest"
	"viakv/quorum/version"
)

// took returns how long a set at a node takes.
func (nd *node) took(t *testing.T, o kv.Options) time.Duration {
	t.Helper()
	began := time.Now()
	if _, err := nd.Set(bg, []byte("k"), []byte("v"), o); err != nil {
		t.Error(err)
	}
	return time.Since(began)
}

// L4, L5: a write waits for a holder that is silent, until its lease is over. That is no later than
// a term after the last renewal, or after the session was closed. Then it waits for the holder no
// more.
func TestAWriteWaitsForAHolder(t *testing.T) {
	inMesh(t, 3, func(t *testing.T, m *mesh) {
		m.Lease(2, 0, 1)
		nd := m.nodes[0]
		nd.silence(2)
		if d := nd.took(t, kv.Options{}); d < replicatest.Term || d > replicatest.Term+2*sessionPoll {
			t.Errorf("the first set took %v", d)
		}
		if d := nd.took(t, kv.Options{}); d > sessionPoll {
			t.Errorf("the next set took %v", d)
		}
	})
}

// A write whose time is over while it waits for a holder says which.
func TestWhoIsWaitedForIsNamed(t *testing.T) {
	inMesh(t, 3, func(t *testing.T, m *mesh) {
		m.Lease(2, 0, 1)
		nd := m.nodes[0]
		nd.silence(2)
		_, err := nd.Set(bg, []byte("k"), []byte("v"), kv.Options{Deadline: time.Now().Add(replicatest.Term / 2)})
		if u := wantOutcome(t, err, kv.Unknown); !strings.Contains(u.Reason, "2 yes, 0 no, 0 failed, 0 count; nc holds a lease and is silent") {
			t.Error(u.Reason)
		}
	})
}

// A set with ?w=1 waits for nobody. Its record is complete once the holder has it.
func TestAWeakSetDoesNotWaitForHolders(t *testing.T) {
	inMesh(t, 3, func(t *testing.T, m *mesh) {
		m.Lease(2, 0, 1)
		nd := m.nodes[0]
		nd.silence(2)
		if d := nd.took(t, kv.Options{W: 1}); d > 0 {
			t.Errorf("the set took %v", d)
		}
		synctest.Wait()
		if c := nd.Current().Counter; c.Mark() > c.Now() {
			t.Error("the record counts as complete, and the holder does not have it")
		}
		defer nd.completes()()
		eventually(t, "it is complete", func() bool { c := nd.Current().Counter; return c.Mark() > c.Now() })
	})
}

// A set whose w is below W, and which each read of R replicas meets, waits for holders as any other
// does: what they answer alone is as good as a read of R replicas.
func TestASetThatReadsMeetWaitsForHolders(t *testing.T) {
	inMesh(t, 3, func(t *testing.T, m *mesh) {
		m.Advance(func(v *replica.View) { v.R, v.W = 2, 3 }, 0, 1, 2)
		m.Lease(2, 0, 1)
		nd := m.nodes[0]
		nd.silence(2)
		if d := nd.took(t, kv.Options{W: kv.QuorumMajority}); d < replicatest.Term {
			t.Errorf("the set took %v, and the holder may answer what was before", d)
		}
	})
}

// A holder that is late keeps its leases. One that cannot be reached does not delay their end.
func TestAHolderThatIsLate(t *testing.T) {
	for _, late := range []time.Duration{10 * time.Millisecond, 30 * time.Millisecond} {
		inMesh(t, 3, func(t *testing.T, m *mesh) {
			m.Lease(2, 0, 1)
			nd := m.nodes[0]
			nd.filter = func(c *Call) bool {
				if c.Member == 2 && c.Kind == Store {
					nd.deliverAfter(late, m.view(0), c)
					return true
				}
				return false
			}
			v := m.view(0)
			if d := nd.took(t, kv.Options{}); d != late {
				t.Errorf("the set took %v, and the holder was late by %v", d, late)
			}
			if len(v.Given.Names()) != 1 || len(m.view(1).Given.Names()) != 1 || m.view(1).Given.Give(m.view(2).Incarnation(), v.Epoch) == 0 {
				t.Error("the holder has lost its lease")
			}
		})
	}
	inMesh(t, 3, func(t *testing.T, m *mesh) {
		m.Lease(2, 0, 1)
		nd := m.nodes[0]
		nd.filter = func(c *Call) bool { return c.Member == 2 && fail(c) }
		time.AfterFunc(replicatest.Term/4, func() { m.Lease(2, 0, 1) }) // it renews them
		if d := nd.took(t, kv.Options{}); d > replicatest.Term+2*sessionPoll {
			t.Errorf("the set took %v", d)
		}
		if m.view(1).Given.Give(m.view(2).Incarnation(), 1) != 0 {
			t.Error("the lease of a holder that cannot be reached is renewed")
		}
	})
}

// A holder that is late on a busy machine keeps its leases, however short they are and however
// little time the request has.
func TestHowLongAHolderIsWaitedFor(t *testing.T) {
	for _, c := range []struct{ term, time, want time.Duration }{
		{100 * time.Millisecond, 2 * time.Second, 40 * time.Millisecond}, {50 * time.Millisecond, 2 * time.Second, leastPatience},
		{10 * time.Millisecond, time.Millisecond, leastPatience}, {time.Second, 2 * time.Second, 400 * time.Millisecond},
		{10 * time.Second, 2 * time.Second, 500 * time.Millisecond}, {0, 2 * time.Second, never},
	} {
		began := time.Now()
		o := &operation{v: &replica.View{Term: c.term}, began: began, deadline: began.Add(c.time)}
		if got := o.holderPatience(); got != c.want {
			t.Errorf("leases of %v, a request of %v: %v, want %v", c.term, c.time, got, c.want)
		}
	}
}

// lasting makes leases last for some time, and begin anew.
func (m *mesh) lasting(term time.Duration) {
	for _, nd := range m.nodes {
		v, clock := nd.Current(), lease.Monotonic()
		v.Term, v.Given, v.Held = term, lease.NewGrants(clock, term), lease.NewHeld(clock, term)
		v.Held.Enter(v.Place())
	}
}

// A lease that runs out is waited for no longer, however late in its life a write begins.
func TestALeaseThatRunsOutIsNotWaitedFor(t *testing.T) {
	for _, term := range []time.Duration{10 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond} {
		for _, left := range []time.Duration{term, term / 2, time.Millisecond} {
			inMesh(t, 3, func(t *testing.T, m *mesh) {
				m.lasting(term)
				m.Lease(2, 0, 1)
				nd := m.nodes[0]
				nd.silence(2)
				time.Sleep(term - left)
				if d := nd.took(t, kv.Options{}); d < left || d > max(left, firstLook)+2*sessionPoll {
					t.Errorf("leases of %v with %v left: the set took %v", term, left, d)
				}
			})
		}
	}
}

// A write that waits for a holder which renews its leases, but does not answer, goes on waiting
// when the epoch ends meanwhile: nothing of it is over.
func TestAnEpochEndsWhileAHolderIsWaitedFor(t *testing.T) {
	const term = 50 * time.Millisecond
	inMesh(t, 3, func(t *testing.T, m *mesh) {
		m.lasting(term)
		m.Lease(2, 0, 1)
		nd := m.nodes[0]
		nd.silence(2)
		renewing := time.NewTicker(term / 4)
		stop := make(chan struct{})
		go func() {
			defer renewing.Stop()
			for {
				select {
				case <-renewing.C:
					m.Lease(2, 0, 1)
				case <-stop:
					return
				}
			}
		}()
		time.AfterFunc(term-5*time.Millisecond, func() {
			m.Advance(func(v *replica.View) {
				v.Term, v.Generation, v.Cleared = term, 1, m.Epoch
			}, 0, 1)
		})
		if d := nd.took(t, kv.Options{}); d > leastPatience+term+2*sessionPoll {
			t.Errorf("the set took %v", d)
		}
		close(stop)
		time.Sleep(time.Second)
	})
}

// A set with a w below R needs R members that vouch, and sends to all of them at once.
func TestWhatASetDependsOnIsUrgent(t *testing.T) {
	inMesh(t, 4, func(t *testing.T, m *mesh) {
		m.Lease(0, 1, 2, 3)
		nd := m.nodes[0]
		for w, want := range map[kv.Quorum]int{1: 0, 2: 2, 3: 2} {
			var urgent int
			nd.filter = func(c *Call) bool {
				if c.Kind == Store && c.Urgent {
					urgent++
				}
				return false
			}
			nd.took(t, kv.Options{W: w})
			synctest.Wait()
			if urgent != want {
				t.Errorf("w=%v: %d of the calls are urgent, want %d", w, urgent, want)
			}
		}
	})
}

// A holder that is no member any more is waited for until its lease is over, and no longer.
func TestAHolderThatIsGone(t *testing.T) {
	inMesh(t, 3, func(t *testing.T, m *mesh) {
		m.Lease(2, 0, 1)
		m.Advance(func(v *replica.View) { v.Members[2].Incarnation = 33 }, 0, 1, 2)
		nd := m.nodes[0]
		if d := nd.took(t, kv.Options{}); d < replicatest.Term || d > replicatest.Term+2*sessionPoll {
			t.Errorf("the first set took %v", d)
		}
		if d := nd.took(t, kv.Options{}); d > 0 {
			t.Errorf("the next set took %v", d)
		}
	})
}

// L7: a get of what is not known to be complete waits for a holder that may lack it.
func TestAGetBringsARecordToTheHolders(t *testing.T) {
	inMesh(t, 3, func(t *testing.T, m *mesh) {
		m.Lease(2, 0, 1)
		rec := version.Record{Tag: version.Tag{Counter: 5, Incarnation: 9}, Value: []byte("v")}
		m.Stores[0].Merge("k", rec)
		m.Stores[1].Merge("k", rec)
		nd := m.nodes[1]
		nd.wantValue("k", "v")
		v := m.view(2)
		if own, _, err := v.Store.Get(v.Epoch, v.Seed.Hash([]byte("k")), []byte("k"), nil); string(own.Value) != "v" || err != nil {
			t.Errorf("the holder has %q, %v", own.Value, err)
		}
		nd.filter = func(c *Call) bool {
			if c.Kind == Store {
				t.Error("it is brought again")
			}
			return false
		}
		nd.wantValue("k", "v")
	})
}
