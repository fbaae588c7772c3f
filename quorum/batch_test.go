package quorum

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"viakv/api/kv"
	"viakv/quorum/version"
)

// writesOf returns a batch of keys k0, k1 and so on, whose values are v0, v1 and so on, padded to a
// size in bytes.
func writesOf(n, size int) (writes []kv.Write) {
	for i := range n {
		writes = append(writes, kv.Write{Key: fmt.Append(nil, "k", i), Value: fmt.Appendf(nil, "%-*s", size, fmt.Sprint("v", i))})
	}
	return writes
}

// wantStored checks that each value of a batch has a version of its own, and that all members hold
// it.
func wantStored(t *testing.T, m *mesh, writes []kv.Write) {
	t.Helper()
	synctest.Wait()
	seen := map[version.Tag]bool{}
	for _, w := range writes {
		if w.Err != nil || w.Version.IsZero() || seen[w.Version] {
			t.Fatalf("%s: %v, %v", w.Key, w.Version, w.Err)
		}
		seen[w.Version] = true
		for i, s := range m.Stores {
			if got := s.Record(string(w.Key)); string(got.Value) != string(w.Value) || got.Tag != w.Version {
				t.Fatalf("member %d holds %v of %s, want %v", i, got, w.Key, w.Version)
			}
		}
	}
}

// A batch takes as many operations as its size asks for, and a call of each to each member.
func TestABatchSharesItsCalls(t *testing.T) {
	for _, c := range []struct{ n, size, operations int }{{1, 10, 1}, {1000, 10, 1}, {MaxRecords + 1, 10, 2}, {300, 1000, 5}} {
		inMesh(t, 3, func(t *testing.T, m *mesh) {
			m.Lease(0, 1, 2)
			nd := m.nodes[0]
			var calls atomic.Int64
			nd.filter = func(call *Call) bool {
				calls.Add(1)
				if call.Kind != Store {
					t.Errorf("a call of kind %d", call.Kind)
				}
				return false
			}
			writes := writesOf(c.n, c.size)
			nd.SetMany(bg, writes, kv.Options{})
			wantStored(t, m, writes)
			if s := nd.Stats(); calls.Load() != int64(2*c.operations) || s.Writes != uint64(c.n) || s.OneRound != uint64(c.n) {
				t.Errorf("%d values of %d bytes: %d calls, %+v", c.n, c.size, calls.Load(), s)
			}
		})
	}
}

// Where a node does not answer alone, the replicas are asked before each value, and all are stored
// all the same. What a batch was used for before does not matter.
func TestABatchWithoutLeases(t *testing.T) {
	for name, opt := range map[string]kv.Options{"no lease": {}, "asked for": {R: kv.QuorumAll}} {
		t.Run(name, func(t *testing.T) {
			inMesh(t, 3, func(t *testing.T, m *mesh) {
				if opt.R != kv.QuorumDefault {
					m.Lease(0, 1, 2)
				}
				writes := writesOf(2*maxAsking+1, 10)
				for i := range writes {
					writes[i].Version, writes[i].Err = version.Tag{Counter: 1}, errors.New("of the last batch")
				}
				m.nodes[0].SetMany(bg, writes, opt)
				wantStored(t, m, writes)
			})
		})
	}
}

// A node that has given its leases back waits for them, and then asks nobody. One that gets leases
// while it asks for each value writes the rest together.
func TestABatchWaitsForLeases(t *testing.T) {
	for _, late := range []bool{false, true} {
		inMesh(t, 3, func(t *testing.T, m *mesh) {
			nd := m.nodes[0]
			var calls, asked atomic.Int64
			nd.filter = func(call *Call) bool {
				calls.Add(1)
				if call.Kind != Store && asked.Add(1) == 1 && late {
					m.Lease(0, 1, 2)
				}
				return false
			}
			if !late {
				time.AfterFunc(nd.Current().Term, func() { m.Lease(0, 1, 2) })
			}
			writes := writesOf(1000, 10)
			nd.SetMany(bg, writes, kv.Options{})
			wantStored(t, m, writes)
			if late && (asked.Load() == 0 || asked.Load() > 2*maxAsking) || !late && calls.Load() != 2 {
				t.Errorf("late %v: %d calls, of which %d ask", late, calls.Load(), asked.Load())
			}
		})
	}
}

// Without a deadline a batch may take longer than the time-out: each value that needs a question
// has the time-out from its turn on. So many batches at once are slow, and do not fail.
func TestABatchOverALongWay(t *testing.T) {
	inMesh(t, 3, func(t *testing.T, m *mesh) {
		for _, nd := range m.nodes[:2] {
			nd.filter = func(call *Call) bool {
				nd.deliverAfter(200*time.Millisecond, nd.Current(), call)
				return true
			}
		}
		var batches sync.WaitGroup
		var all [][]kv.Write
		for i := range 4 {
			writes := writesOf(10*maxAsking, 10)
			for j := range writes {
				writes[j].Key = fmt.Appendf(nil, "batch %d key %d", i, j)
			}
			all = append(all, writes)
			batches.Go(func() { m.nodes[i%2].SetMany(bg, writes, kv.Options{R: kv.QuorumMajority}) })
		}
		batches.Wait()
		for _, writes := range all {
			wantStored(t, m, writes)
		}
	})
}

// A batch that is refused, and one that finds too few replicas, says so of each value.
func TestABatchThatFails(t *testing.T) {
	inMesh(t, 3, func(t *testing.T, m *mesh) {
		m.Lease(0, 1, 2)
		nd, writes := m.nodes[0], writesOf(3, 10)
		m.Stores[0].SetFull(true)
		nd.SetMany(bg, writes, kv.Options{})
		for _, w := range writes {
			if !errors.Is(w.Err, kv.ErrMemoryLimit) {
				t.Errorf("full: %v", w.Err)
			}
		}
		m.Stores[0].SetFull(false)
		nd.filter = func(c *Call) bool {
			nd.swallow(c)
			return true
		}
		nd.SetMany(bg, writes, kv.Options{})
		for _, w := range writes {
			wantOutcome(t, w.Err, kv.Unknown)
		}
	})
}
