package quorum

import (
	"testing"
	"testing/synctest"
	"time"

	"viakv/api/kv"
	"viakv/quorum/replica"
	"viakv/quorum/replica/replicatest"
	"viakv/quorum/version"
)

// tellMarks tells each node the watermarks of the others, which the next message would bring.
func (m *mesh) tellMarks() {
	for _, to := range m.nodes {
		for _, from := range m.nodes {
			v := from.Current()
			to.Current().Marks.Learn(v.Incarnation(), v.Counter.Mark())
		}
	}
}

// askNobody makes each call of a node an error.
func (nd *node) askNobody() {
	nd.filter = func(c *Call) bool {
		nd.m.t.Errorf("member %d is asked, by a call of kind %d", c.Member, c.Kind)
		return fail(c)
	}
}

// L3: a node that holds leases of R-1 others answers from its own copy what is known to be
// complete: values, tombstones, and that there is nothing. It allocates nothing for a get.
func TestAHolderAnswersFromItsOwnCopy(t *testing.T) {
	inMesh(t, 3, func(t *testing.T, m *mesh) {
		m.nodes[1].mustSet("k", "v")
		m.nodes[1].mustSet("gone", "v")
		if err := m.nodes[1].Remove(bg, []byte("gone"), kv.Options{}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		m.tellMarks()
		m.Lease(0, 1)
		nd := m.nodes[0]
		nd.askNobody()
		held := nd.Current().Held
		for held.Pause(); !held.Pause(); {
			t.Error("leases are of use before the first request")
		}
		if nd.wantValue("k", "v"); held.Pause() {
			t.Error("a get is no use of leases")
		}
		for _, key := range []string{"gone", "never there"} {
			if _, _, err := nd.Get(bg, nil, []byte(key), kv.Options{}); err != kv.ErrMissing {
				t.Errorf("get %s: %v", key, err)
			}
			if _, err := nd.Has(bg, []byte(key), kv.Options{}); err != kv.ErrMissing {
				t.Errorf("has %s: %v", key, err)
			}
			if err := nd.removeHere([]byte(key), kv.Options{}, false); err != kv.ErrMissing {
				t.Errorf("remove %s: %v", key, err)
			}
		}
		if _, err := nd.Has(bg, []byte("k"), kv.Options{}); err != nil {
			t.Error(err)
		}
		if s := nd.Stats(); s.Reads != 6 || s.Local != 6 {
			t.Errorf("%d of %d reads were local", s.Local, s.Reads)
		}
		dst := []byte("before ")
		got, _, err := nd.Get(bg, dst, []byte("k"), kv.Options{})
		if string(got) != "before v" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
		buffer, key := make([]byte, 0, 1024), []byte("k")
		if n := testing.AllocsPerRun(100, func() {
			_, _, _ = nd.Get(bg, buffer, key, kv.Options{})
			_, _ = nd.Has(bg, key, kv.Options{})
		}); n != 0 {
			t.Errorf("%v allocations", n)
		}
	})
}

// What a node does not answer alone: without enough leases, past their end, at another epoch, for a
// request that brings an r, with reads by quorum, and what it does not know to be complete.
func TestWhenAHolderAsks(t *testing.T) {
	for name, change := range map[string]func(m *mesh) kv.Options{
		"no lease":         func(m *mesh) kv.Options { m.nodes[0].Current().Held.Drop(); return kv.Options{} },
		"a lease that ran": func(*mesh) kv.Options { time.Sleep(replicatest.Term); return kv.Options{} },
		"an r":             func(*mesh) kv.Options { return kv.Options{R: kv.QuorumMajority} },
		"an epoch":         func(m *mesh) kv.Options { m.Advance(nil, 1, 2); return kv.Options{} },
		"reads by quorum": func(m *mesh) kv.Options {
			m.Advance(func(v *replica.View) { v.Leases = false }, 0, 1, 2)
			return kv.Options{}
		},
		"an open write": func(m *mesh) kv.Options {
			m.nodes[1].Current().Counter.Take()
			m.nodes[1].mustSet("k", "v")
			return kv.Options{}
		},
	} {
		t.Run(name, func(t *testing.T) {
			inMesh(t, 3, func(t *testing.T, m *mesh) {
				m.nodes[1].mustSet("k", "v")
				synctest.Wait()
				m.tellMarks()
				m.Lease(0, 1)
				nd := m.nodes[0]
				nd.wantValue("k", "v")
				if nd.Stats().Local != 1 {
					t.Fatal("not alone before the change")
				}
				o := change(m)
				if name == "an epoch" {
					m.Views[0].Install(m.View(0, nil))
					nd.Current().Held.Drop()
				}
				if got, _, err := nd.Get(bg, nil, []byte("k"), o); string(got) != "v" || err != nil {
					t.Errorf("%q, %v", got, err)
				}
				if nd.Stats().Local != 1 {
					t.Error("answered from its own copy")
				}
			})
		})
	}
}

// R-1 leases are needed, two of five, but one at least. Where quorums need not overlap, none are
// enough.
func TestHowManyLeasesAreNeeded(t *testing.T) {
	for _, c := range []struct{ n, r, w, need int }{{1, 1, 1, 0}, {2, 2, 2, 1}, {2, 1, 2, 1}, {3, 1, 3, 1}, {3, 2, 2, 1}, {4, 3, 3, 2}, {5, 3, 3, 2}, {5, 4, 2, 3}, {3, 1, 2, 9}} {
		inMesh(t, c.n, func(t *testing.T, m *mesh) {
			m.Advance(func(v *replica.View) { v.R, v.W = c.r, c.w }, members(c.n)...)
			for held := range c.n {
				if held > 0 {
					m.Lease(0, held)
				}
				if got := m.view(0).Alone(); got != (held >= c.need) {
					t.Errorf("N=%d, R=%d, W=%d, %d leases: alone: %v", c.n, c.r, c.w, held, got)
				}
			}
		})
	}
}

// L6: at the epoch of a clear a node answers that there is nothing once it knows that the epoch is
// sealed. Before, others may answer what was there.
func TestNothingIsKnownOnceAClearIsSealed(t *testing.T) {
	inMesh(t, 3, func(t *testing.T, m *mesh) {
		sealed := m.Epoch // the epoch before
		m.Advance(func(v *replica.View) {
			v.Cleared, v.Sealed = m.Epoch, func() version.Epoch { return sealed }
		}, 0, 1, 2)
		m.Lease(0, 1)
		nd := m.nodes[0]
		get := func() uint64 {
			if _, _, err := nd.Get(bg, nil, []byte("k"), kv.Options{}); err != kv.ErrMissing {
				t.Fatal(err)
			}
			return nd.Stats().Local
		}
		if get() != 0 {
			t.Error("answered alone before the clear is known to be sealed")
		}
		if sealed = m.Epoch; get() != 1 {
			t.Error("asked although the clear is known to be sealed")
		}
	})
}

// L4: a get that finds nothing at the epoch of a clear waits for a holder that may be below it, and
// answers from its copy.
func TestNothingIsNoAnswerWhileAHolderIsBehind(t *testing.T) {
	inMesh(t, 3, func(t *testing.T, m *mesh) {
		m.Lease(2, 1)
		m.Advance(func(v *replica.View) { v.Cleared = m.Epoch }, 0, 1)
		nd := m.nodes[0]
		nd.silence(2)
		began := time.Now()
		if _, _, err := nd.Get(bg, nil, []byte("k"), kv.Options{}); err != kv.ErrMissing {
			t.Fatal(err)
		}
		if took := time.Since(began); took < replicatest.Term || took > 2*replicatest.Term {
			t.Errorf("answered after %v, while the holder had a lease for %v", took, replicatest.Term)
		}
	})
}

// L15: R members vote for a remove whose base nobody was asked for, though W is less.
func TestARemoveAtAHolderNeedsRVotes(t *testing.T) {
	inMesh(t, 3, func(t *testing.T, m *mesh) {
		m.Advance(func(v *replica.View) { v.R, v.W = 3, 1 }, 0, 1, 2)
		m.nodes[0].mustSet("k", "v")
		m.Lease(0, 1, 2)
		nd := m.nodes[0]
		nd.filter = func(c *Call) bool { return c.Member == 2 && fail(c) }
		wantOutcome(t, nd.removeHere([]byte("k"), kv.Options{}, false), kv.Unknown)
	})
}

// L15: a remove at a holder that finds a tombstone of which it does not know that it is complete
// asks.
func TestARemoveAsksWhatIsNotConfirmed(t *testing.T) {
	inMesh(t, 3, func(t *testing.T, m *mesh) {
		m.Lease(0, 1, 2)
		tomb := version.Record{Tag: version.Tag{Counter: 5, Incarnation: 9, Removed: true}, Owner: version.Operation{Incarnation: 9, Sequence: 6}}
		m.Stores[0].Merge("k", tomb)
		if err := m.nodes[0].removeHere([]byte("k"), kv.Options{}, false); err != kv.ErrMissing {
			t.Error(err)
		}
		synctest.Wait()
		for i := range 3 {
			if own := m.Stores[i].Record("k"); own.Tag != tomb.Tag {
				t.Errorf("member %d has %v", i, own.Tag)
			}
		}
	})
}
