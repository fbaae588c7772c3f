package quorum

import (
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"viakv/api/kv"
	"viakv/quorum/replica"
	"viakv/quorum/version"
)

// readsOf returns a batch of the keys k0, k1 and so on, with what an earlier batch has left.
func readsOf(n int) (reads []kv.Read) {
	for i := range n {
		reads = append(reads, kv.Read{Key: fmt.Append(nil, "k", i), Value: []byte("stale"), Version: version.Tag{Counter: 1}, Err: errDeadline})
	}
	return reads
}

// setMany makes a node store v0, v1 and so on under the keys of readsOf.
func (nd *node) setMany(n int) []kv.Write {
	nd.m.t.Helper()
	writes := writesOf(n, 0)
	nd.SetMany(bg, writes, kv.Options{})
	for _, w := range writes {
		if w.Err != nil {
			nd.m.t.Fatal(w.Err)
		}
	}
	return writes
}

// wantRead checks that each key of a batch has the value and the version of its write.
func wantRead(t *testing.T, reads []kv.Read, writes []kv.Write) {
	t.Helper()
	for i, w := range writes {
		if r := &reads[i]; r.Err != nil || string(r.Value) != string(w.Value) || r.Version != w.Version {
			t.Fatalf("%s: %q, %v, %v, want %q, %v", r.Key, r.Value, r.Version, r.Err, w.Value, w.Version)
		}
	}
}

// L3: a node that answers alone answers many keys from its own copy: values, tombstones, and that
// there is nothing.
func TestManyGetsFromTheOwnCopy(t *testing.T) {
	const n = 2*maxAsking + 5
	inMesh(t, 3, func(t *testing.T, m *mesh) {
		writes := m.nodes[1].setMany(n)
		if err := m.nodes[1].Remove(bg, writes[7].Key, kv.Options{}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		m.tellMarks()
		m.Lease(0, 1)
		nd := m.nodes[0]
		nd.askNobody()
		reads := readsOf(n + 1)
		got := nd.GetMany(bg, []byte("before "), reads, kv.Options{})
		wantRead(t, reads[:7], writes[:7])
		wantRead(t, reads[8:n], writes[8:])
		for _, i := range []int{7, n} {
			if r := reads[i]; r.Err != kv.ErrMissing || r.Value != nil || r.Version.IsZero() != (i == n) {
				t.Errorf("%s: %q, %v, %v", r.Key, r.Value, r.Version, r.Err)
			}
		}
		if string(got[:9]) != "before v0" {
			t.Errorf("dst became %.20q", got)
		}
		if s := nd.Stats(); s.Reads != n+1 || s.Local != n+1 {
			t.Errorf("%d of %d reads were local", s.Local, s.Reads)
		}
	})
}

// Where a node does not answer alone, it asks: for all keys, or for the one that is not known to be
// complete.
func TestManyGetsThatAsk(t *testing.T) {
	const n = maxAsking + 5
	for name, c := range map[string]struct {
		change func(m *mesh) kv.Options
		asked  int
	}{
		"no lease": {func(m *mesh) kv.Options { m.nodes[0].Current().Held.Drop(); return kv.Options{} }, n},
		"an r":     {func(*mesh) kv.Options { return kv.Options{R: kv.QuorumMajority} }, n},
		"an open write": {func(m *mesh) kv.Options {
			m.nodes[1].Current().Counter.Take()
			m.nodes[1].mustSet("k9", "v9")
			return kv.Options{}
		}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			inMesh(t, 3, func(t *testing.T, m *mesh) {
				writes := m.nodes[1].setMany(n)
				synctest.Wait()
				m.tellMarks()
				m.Lease(0, 1)
				opt := c.change(m)
				nd, reads := m.nodes[0], readsOf(n)
				nd.GetMany(bg, nil, reads, opt)
				writes[9].Version = reads[9].Version
				wantRead(t, reads, writes)
				if s := nd.Stats(); s.Asked != uint64(c.asked) || s.Local != uint64(n-c.asked) {
					t.Errorf("%d keys were asked for and %d found alone, want %d and %d", s.Asked, s.Local, c.asked, n-c.asked)
				}
			})
		})
	}
}

// An epoch that ends among many gets, and one at which the node has no leases, change no answer.
func TestManyGetsAcrossAnEpoch(t *testing.T) {
	inMesh(t, 3, func(t *testing.T, m *mesh) {
		writes := m.nodes[1].setMany(2 * maxAsking)
		synctest.Wait()
		nd := m.nodes[0]
		var once atomic.Bool
		nd.filter = func(*Call) bool {
			if !once.Swap(true) {
				m.Advance(nil, 0, 1, 2)
			}
			return false
		}
		reads := readsOf(len(writes))
		nd.GetMany(bg, nil, reads, kv.Options{})
		wantRead(t, reads, writes)
	})
}

// A node asks for maxAsking keys at a time, and for none once it answers alone.
func TestManyGetsAskForSoManyAtATime(t *testing.T) {
	inMesh(t, 3, func(t *testing.T, m *mesh) {
		writes := m.nodes[1].setMany(10 * maxAsking)
		synctest.Wait()
		m.tellMarks()
		nd := m.nodes[0]
		var underWay, most atomic.Int64
		nd.filter = func(c *Call) bool {
			most.Store(max(most.Load(), underWay.Add(1)))
			time.AfterFunc(time.Millisecond, func() {
				underWay.Add(-1)
				m.Lease(0, 1)
				nd.deliver(nd.Current(), c)
			})
			return true
		}
		reads := readsOf(len(writes))
		nd.GetMany(bg, nil, reads, kv.Options{})
		wantRead(t, reads, writes)
		if s := nd.Stats(); s.Asked != maxAsking || most.Load() > 2*maxAsking {
			t.Errorf("%d keys were asked for, %d calls at a time", s.Asked, most.Load())
		}
	})
}

// A key for which too few replicas answer fails by itself, at the deadline.
func TestManyGetsThatFail(t *testing.T) {
	inMesh(t, 3, func(t *testing.T, m *mesh) {
		writes := m.nodes[1].setMany(5)
		synctest.Wait()
		m.tellMarks()
		m.Lease(0, 1)
		m.nodes[1].Current().Counter.Take()
		m.nodes[1].mustSet("k2", "v2")
		synctest.Wait()
		nd, reads, began := m.nodes[0], readsOf(5), time.Now()
		nd.filter = func(c *Call) bool {
			nd.swallow(c)
			return true
		}
		nd.GetMany(bg, nil, reads, kv.Options{Deadline: began.Add(patience)})
		if took := time.Since(began); took < patience || took > 2*patience {
			t.Errorf("it took %s", took)
		}
		wantOutcome(t, reads[2].Err, kv.None)
		if reads[2].Value != nil {
			t.Errorf("%q", reads[2].Value)
		}
		wantRead(t, slices.Delete(reads, 2, 3), slices.Delete(writes, 2, 3))
	})
}

// patience is how long a get may take, within a term of the leases.
const patience = 200 * time.Millisecond

// Leases that are late are waited for, where there are many keys: for half of the time at most, so
// that the replicas can still be asked.
func TestManyGetsWaitForLeases(t *testing.T) {
	for name, c := range map[string]struct {
		keys  int
		late  time.Duration // when the leases come; 0: never
		asked int
	}{
		"few keys":  {replica.MaxWarm, 5 * time.Millisecond, replica.MaxWarm},
		"many keys": {replica.MaxWarm + 1, 5 * time.Millisecond, 0},
		"no leases": {5 * replica.MaxWarm, 0, 5 * replica.MaxWarm},
	} {
		t.Run(name, func(t *testing.T) {
			inMesh(t, 3, func(t *testing.T, m *mesh) {
				writes := m.nodes[1].setMany(c.keys)
				synctest.Wait()
				m.tellMarks()
				m.Advance(func(v *replica.View) { v.Term = time.Minute }, 0, 1, 2)
				if c.late > 0 {
					time.AfterFunc(c.late, func() { m.Lease(0, 1) })
				}
				nd, reads, began := m.nodes[0], readsOf(c.keys), time.Now()
				nd.GetMany(bg, nil, reads, kv.Options{Deadline: began.Add(patience)})
				wantRead(t, reads, writes)
				if s := nd.Stats(); s.Asked != uint64(c.asked) {
					t.Errorf("%d keys were asked for, want %d", s.Asked, c.asked)
				}
				if took := time.Since(began); took > patience*3/4 {
					t.Errorf("it took %s", took)
				}
			})
		})
	}
}

// An own copy that is at another epoch than the view answers nothing.
func TestManyGetsAtAnotherEpoch(t *testing.T) {
	inMesh(t, 3, func(t *testing.T, m *mesh) {
		writes := m.nodes[1].setMany(replica.MaxWarm + 1)
		synctest.Wait()
		m.tellMarks()
		m.Lease(0, 1)
		nd, reads := m.nodes[0], readsOf(len(writes))
		for i := range reads {
			reads[i].Err = nil
		}
		m.Advance(nil, 1, 2) // this node's view is behind
		if _, asked := nd.manyAlone(nil, reads[:replica.MaxWarm], &kv.Options{}); asked != replica.MaxWarm {
			t.Errorf("%d keys are to be asked for", asked)
		}
		m.Views[0].Install(m.View(0, nil))
		nd.GetMany(bg, nil, reads, kv.Options{})
		wantRead(t, reads, writes)
	})
}
