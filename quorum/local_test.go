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
		sealed := version.Epoch(0)
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

// L14: a set at a holder takes one round, and asks nobody before.
func TestASetAtAHolderTakesOneRound(t *testing.T) {
	for _, n := range []int{2, 3, 5} {
		inMesh(t, n, func(t *testing.T, m *mesh) {
			m.nodes[1].mustSet("k", "before")
			synctest.Wait()
			m.Lease(0, members(n)[1:]...)
			nd := m.nodes[0]
			nd.filter = func(c *Call) bool {
				if c.Kind != Store || c.Relied == 0 {
					t.Errorf("N=%d: member %d gets a call of kind %d, which relies on session %d", n, c.Member, c.Kind, c.Relied)
				}
				return false
			}
			nd.mustSet("k", "between")
			synctest.Wait()
			nd.filter = nil
			if _, err := nd.Set(bg, []byte("k"), []byte("after"), kv.Options{R: kv.QuorumMajority}); err != nil { // it asks
				t.Error(err)
			}
			synctest.Wait()
			if s := nd.Stats(); s.OneRound != 1 || s.Conflicts != 0 {
				t.Errorf("N=%d: %+v", n, s)
			}
			m.tellMarks()
			for _, r := range m.nodes {
				r.wantValue("k", "after")
			}
		})
	}
}

// A write of one round begins anew when something newer comes into the own copy before it does.
// Nobody knows of the first attempt.
func TestASetBeginsAnewWhenItIsOvertakenAtHome(t *testing.T) {
	inMesh(t, 3, func(t *testing.T, m *mesh) {
		m.Lease(0, 1, 2)
		nd := m.nodes[0]
		op, err := nd.begin([]byte("k"), kv.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := op.mintAlone([]byte("overtaken")); err != nil || !op.unasked {
			t.Fatal(err)
		}
		newer := version.Record{Tag: version.Tag{Counter: 99, Incarnation: 2}, Value: []byte("newer")}
		m.Stores[0].Merge("k", newer)
		nd.askNobody()
		if err := op.write(Store); !errors.Is(err, errOvertaken) {
			t.Errorf("%v", err)
		}
		op.drop()
		op.finish()
		if mark := nd.Current().Counter.Mark(); mark != nd.Current().Counter.Now()+1 {
			t.Errorf("the number of the attempt is open: %d", mark)
		}
		nd.filter = nil
		nd.Current().Counter.Observe(99)
		if tag := nd.mustSet("k", "v"); !newer.Tag.Less(tag) {
			t.Errorf("%v is not above %v", tag, newer.Tag)
		}
	})
}

// L14: no acknowledged set rests on a clock. The leases of a node have ended while its clock stood
// still, and others have written. Then too few vouch for what it writes below that: the outcome is
// unknown. A member that holds nothing newer vouches all the same.
func TestASetIsVouchedFor(t *testing.T) {
	for _, newer := range []int{0, 1, 2} {
		inMesh(t, 3, func(t *testing.T, m *mesh) {
			nd := m.nodes[0]
			stopped := lease.NewHeld(func() time.Duration { return 0 }, replicatest.Term)
			m.view(0).Held = stopped
			stopped.Enter(m.view(0).Place())
			m.Lease(0, 1, 2)
			time.Sleep(2 * replicatest.Term)
			for i := range newer {
				v := m.view(1 + i)
				if v.Given.Close(lease.Name{Holder: m.view(0).Incarnation(), Session: 1}) != 0 {
					t.Fatal("not over")
				}
				m.Stores[1+i].Merge("k", version.Record{Tag: version.Tag{Counter: 99, Incarnation: 2}, Value: []byte("newer")})
			}
			_, err := nd.Set(bg, []byte("k"), []byte("v"), kv.Options{})
			if newer < 2 {
				if err != nil {
					t.Errorf("%d hold something newer: %v", newer, err)
				}
				return
			}
			wantOutcome(t, err, kv.Unknown)
			// With ?w=1 it is answered at the first acknowledgement.
			if _, err := nd.Set(bg, []byte("l"), []byte("v"), kv.Options{W: 1}); err != nil {
				t.Error(err)
			}
		})
	}
}

// A node that cannot expect enough members to answer asks first, though its leases have not ended.
// So the outcome of its sets is known.
func TestASetThatCannotSucceedSendsNothing(t *testing.T) {
	inMesh(t, 3, func(t *testing.T, m *mesh) {
		m.Lease(0, 1, 2)
		nd := m.nodes[0]
		nd.filter = unsent
		nd.down[1].Store(true)
		nd.down[2].Store(true)
		_, err := nd.Set(bg, []byte("k"), []byte("v"), kv.Options{})
		wantOutcome(t, err, kv.None)
		wantOutcome(t, nd.removeHere([]byte("k"), kv.Options{R: kv.QuorumMajority}, false), kv.None)
		nd.down[1].Store(false)
		nd.filter = func(c *Call) bool { return c.Member == 2 && unsent(c) }
		_, err = nd.Set(bg, []byte("k"), []byte("v"), kv.Options{W: kv.QuorumAll})
		wantOutcome(t, err, kv.None)
	})
}

// A write of one round whose epoch ends is sent again with the same tag, and vouched for anew. It
// is never made anew under another tag once it was sent: if something newer has come into the own
// copy, its outcome is unknown.
func TestASetOfOneRoundAtTheNextEpoch(t *testing.T) {
	for _, overtaken := range []bool{false, true} {
		inMesh(t, 3, func(t *testing.T, m *mesh) {
			m.Lease(0, 1, 2)
			nd := m.nodes[0]
			tags := map[version.Tag]bool{}
			first := true
			nd.filter = func(c *Call) bool {
				tags[c.Record.Tag] = true
				if first {
					first = false
					if overtaken {
						m.Stores[0].Merge("k", version.Record{Tag: version.Tag{Counter: 99, Incarnation: 2}, Value: []byte("newer")})
					}
					m.Advance(nil, 1, 2)
					m.Views[0].Install(m.View(0, nil))
				}
				return false
			}
			_, err := nd.Set(bg, []byte("k"), []byte("v"), kv.Options{})
			switch {
			case overtaken:
				wantOutcome(t, err, kv.Unknown)
			case err != nil:
				t.Error(err)
			}
			if len(tags) != 1 {
				t.Errorf("sent under %d tags", len(tags))
			}
		})
	}
}

// A write of one round that finds its epoch over before anything is sent begins anew, also past a
// clear. If this node is no member any more, nothing was done.
func TestASetOfOneRoundThatWasNotSent(t *testing.T) {
	for _, left := range []bool{false, true} {
		inMesh(t, 3, func(t *testing.T, m *mesh) {
			m.Lease(0, 1, 2)
			nd := m.nodes[0]
			nd.askNobody()
			op, err := nd.begin([]byte("k"), kv.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer op.finish()
			if err := op.mintAlone([]byte("v")); err != nil || !op.unasked {
				t.Fatal(err)
			}
			m.Advance(func(v *replica.View) { v.Generation, v.Cleared = 1, m.Epoch }, 0, 1, 2)
			if left {
				m.Views[0].Install(nil)
				wantOutcome(t, op.write(Store), kv.None)
			} else if err := op.write(Store); !errors.Is(err, errOvertaken) {
				t.Error(err)
			}
			op.drop()
		})
	}
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
