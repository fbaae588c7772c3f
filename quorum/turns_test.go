package quorum

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"viakv/api/kv"
	"viakv/quorum/replica"
	"viakv/quorum/version"
)

// open stores a record that is not known to be complete at members.
func (m *mesh) open(counter uint64, value string, at ...int) {
	for _, i := range at {
		m.Stores[i].Merge("k", version.Record{Tag: version.Tag{Counter: counter, Incarnation: 9}, Value: []byte(value)})
	}
}

// asks makes each call of a node's reads take some time, and counts those of the first phases.
func (nd *node) asks(takes time.Duration) *atomic.Int64 {
	n := new(atomic.Int64)
	nd.filter = func(c *Call) bool {
		if c.Kind == ReadRecord || c.Kind == ReadTag {
			n.Add(1)
		}
		nd.deliverAfter(takes, nd.Current(), c)
		return true
	}
	return n
}

// together runs a function in some goroutines at once, and returns when all have ended.
func together(n int, f func(i int)) {
	var running sync.WaitGroup
	for i := range n {
		running.Go(func() { f(i) })
	}
	running.Wait()
}

// Of many reads that find the same record not confirmed, one asks. The others answer as soon as it
// does.
func TestReadsOfAnOpenRecordAskOnce(t *testing.T) {
	inMesh(t, 3, func(t *testing.T, m *mesh) {
		m.Lease(0, 1, 2)
		m.open(5, "v", 0, 1, 2)
		nd := m.nodes[0]
		n := nd.asks(time.Millisecond)
		began := time.Now()
		together(20, func(i int) {
			if i%2 == 0 {
				nd.wantValue("k", "v")
			} else if _, err := nd.Has(bg, []byte("k"), kv.Options{}); err != nil {
				t.Error(err)
			}
		})
		if took, s := time.Since(began), nd.Stats(); n.Load() != 1 || took != time.Millisecond || s.Asked != 1 || s.Local != 19 {
			t.Errorf("%d calls in %v, %+v", n.Load(), took, s)
		}
		if len(nd.turns.keys) > 0 {
			t.Errorf("%d turns are left", len(nd.turns.keys))
		}
	})
}

// What a read waits for may take long, or leave the record as it was. Then the read asks by itself.
func TestAReadDoesNotWaitForOthersForLong(t *testing.T) {
	inMesh(t, 3, func(t *testing.T, m *mesh) {
		m.Lease(0, 1, 2)
		m.open(5, "v", 0, 1, 2)
		nd := m.nodes[0]
		n := nd.asks(time.Hour) // as if all peers were paused
		var reads sync.WaitGroup
		get := func(o kv.Options) {
			if _, _, err := nd.Get(bg, nil, []byte("k"), o); err == nil {
				t.Error("a get was answered by nobody")
			}
		}
		reads.Go(func() { get(kv.Options{}) })
		synctest.Wait()
		began := time.Now()
		reads.Go(func() { get(kv.Options{Deadline: began.Add(3 * time.Millisecond)}) })
		reads.Go(func() { get(kv.Options{}) })
		time.Sleep(nd.cfg.HedgeAfter - 1)
		synctest.Wait()
		first := n.Load()
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if second := n.Load(); second == first {
			t.Errorf("%d calls, and then %d", first, second)
		}
		reads.Wait()
		time.Sleep(time.Hour)
	})
	inMesh(t, 3, func(t *testing.T, m *mesh) { // a read with little time has some left when it has waited
		m.Lease(0, 1, 2)
		m.open(5, "v", 0, 1, 2)
		nd := m.nodes[0]
		nd.filter = func(c *Call) bool {
			nd.filter = nil // the other peers answer at once
			nd.swallow(c)
			return true
		}
		var reads sync.WaitGroup
		reads.Go(func() { nd.wantValue("k", "v") })
		synctest.Wait()
		if _, _, err := nd.Get(bg, nil, []byte("k"), kv.Options{Deadline: time.Now().Add(4 * time.Millisecond)}); err != nil {
			t.Error(err)
		}
		reads.Wait()
	})
	inMesh(t, 3, func(t *testing.T, m *mesh) { // what is never confirmed is not waited for
		m.Lease(0, 1, 2)
		contested := version.Record{Tag: version.Tag{Counter: 5, Incarnation: 9, Removed: true}, Owner: version.Contested}
		for _, s := range m.Stores {
			s.Merge("k", contested)
		}
		nd := m.nodes[0]
		n := nd.asks(time.Millisecond)
		began := time.Now()
		together(8, func(int) {
			if _, _, err := nd.Get(bg, nil, []byte("k"), kv.Options{}); !errors.Is(err, kv.ErrMissing) {
				t.Error(err)
			}
		})
		if took := time.Since(began); took != time.Millisecond || n.Load() != 8 {
			t.Errorf("the gets took %v, with %d calls", took, n.Load())
		}
	})
}

// Where all members hold leases, a record is as a rule confirmed by what a peer says of it. That
// holds for those who wait, too, and for later reads.
func TestReadsRememberWhatAPeerConfirms(t *testing.T) {
	inMesh(t, 3, func(t *testing.T, m *mesh) {
		m.Lease(0, 1, 2)
		m.Lease(1, 0, 2)
		m.Lease(2, 0, 1)
		m.open(5, "v", 0, 1, 2)
		m.nodes[1].wantValue("k", "v") // completes it
		synctest.Wait()
		nd := m.nodes[0]
		n := nd.asks(time.Millisecond)
		for _, want := range []int64{1, 0} {
			n.Store(0)
			together(20, func(int) { nd.wantValue("k", "v") })
			if n.Load() != want {
				t.Errorf("%d calls, want %d", n.Load(), want)
			}
		}
		synctest.Wait()
	})
}

// A read that has waited for as many others as it may looks once more before it asks.
func TestAReadLooksAfterItsLastWait(t *testing.T) {
	inMesh(t, 3, func(t *testing.T, m *mesh) {
		m.Lease(0, 1, 2)
		m.open(5, "old", 0, 1, 2)
		nd := m.nodes[0]
		n := nd.asks(time.Millisecond)
		// The first answer confirms the record before.
		time.AfterFunc(time.Millisecond/2, func() { m.open(6, "new", 0) })
		together(maxTurns+1, func(int) {
			if _, _, err := nd.Get(bg, nil, []byte("k"), kv.Options{}); err != nil {
				t.Error(err)
			}
		})
		if s := nd.Stats(); n.Load() != 2 || s.Asked != 2 || s.Local != maxTurns-1 {
			t.Errorf("%d calls, %+v", n.Load(), s)
		}
		nd.wantValue("k", "new")
	})
}

// L3: a read that has waited answers what was complete when it came, though the leases are over by
// then. It does not answer at another epoch.
func TestAReadThatHasWaitedLooksAgain(t *testing.T) {
	for name, after := range map[string]func(m *mesh){
		"the leases are over": func(m *mesh) { m.view(0).Held.Drop() },
		"the epoch is over":   func(m *mesh) { m.Advance(nil, 0, 1, 2) },
	} {
		inMesh(t, 3, func(t *testing.T, m *mesh) {
			m.Lease(0, 1, 2)
			m.open(5, "v", 0, 1, 2)
			nd := m.nodes[0]
			n := nd.asks(time.Millisecond)
			var reads sync.WaitGroup
			for range 2 {
				reads.Go(func() { nd.wantValue("k", "v") })
			}
			synctest.Wait()
			after(m)
			reads.Wait()
			if calls := n.Load(); (name == "the leases are over") != (calls == 1) {
				t.Errorf("%s: %d calls", name, calls)
			}
		})
	}
}

// With R=2, W=3 and one member gone, no quorum answers. A read that the end of an epoch overtakes
// between its check and its look checks anew, and waits for leases if they are gone.
func TestAReadChecksAnewAtTheNextEpoch(t *testing.T) {
	for _, drops := range []bool{true, false} {
		inMesh(t, 3, func(t *testing.T, m *mesh) {
			quorums := func(v *replica.View) { v.R, v.W = 2, 3 }
			m.Advance(quorums, 0, 1, 2)
			nd := m.nodes[0]
			nd.mustSet("k", "v")
			synctest.Wait()
			m.Lease(0, 1)
			nd.down[2].Store(true)
			nd.silence(2)
			nd.Current().Store = &hooked{Store: m.Stores[0], looking: func() {
				m.Advance(func(v *replica.View) {
					quorums(v)
					v.Members[2].Incarnation = 0
				}, 0, 1)
				if a, b := m.view(0), m.view(1); drops {
					a.Held.Drop()
					b.Given.Returned(a.Incarnation(), a.Held.Returned(b.Incarnation()))
					time.AfterFunc(10*time.Millisecond, func() { m.Lease(0, 1) })
				}
			}}
			nd.wantValue("k", "v")
			synctest.Wait()
		})
	}
}
