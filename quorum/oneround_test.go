package quorum

import (
	"testing"
	"testing/synctest"
	"time"

	"viakv/api/kv"
	"viakv/quorum/lease"
	"viakv/quorum/replica"
	"viakv/quorum/replica/replicatest"
	"viakv/quorum/version"
)

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
			// One with an r asks.
			if _, err := nd.Set(bg, []byte("k"), []byte("after"), kv.Options{R: kv.QuorumMajority}); err != nil {
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
		newer := version.Record{Tag: version.Tag{Counter: 99, Incarnation: 2}, Value: []byte("newer")}
		m.view(0).Store = &hooked{Store: m.Stores[0], before: func() { m.Stores[0].Merge("k", newer) }}
		sent := map[version.Tag]bool{}
		nd.filter = func(c *Call) bool {
			sent[c.Records[0].Record.Tag] = true
			return false
		}
		tag := nd.mustSet("k", "v")
		if !newer.Tag.Less(tag) || len(sent) != 1 || !sent[tag] {
			t.Errorf("%v, sent %v", tag, sent)
		}
		synctest.Wait()
		if mark := nd.Current().Counter.Mark(); mark != nd.Current().Counter.Now()+1 {
			t.Errorf("the number of the first attempt is open: %d", mark)
		}
		if s := nd.Stats(); s.OneRound != 1 || s.Writes != 1 {
			t.Errorf("%+v", s)
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
				tags[c.Records[0].Record.Tag] = true
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

// A write of one round that finds its epoch over before anything is stored begins anew, also past a
// clear. If this node is no member any more, nothing was done.
func TestASetOfOneRoundThatWasNotSent(t *testing.T) {
	for _, left := range []bool{false, true} {
		inMesh(t, 3, func(t *testing.T, m *mesh) {
			m.Lease(0, 1, 2)
			nd := m.nodes[0]
			m.view(0).Store = &hooked{Store: m.Stores[0], before: func() {
				m.Advance(func(v *replica.View) { v.Generation, v.Cleared = 1, m.Epoch }, 0, 1, 2)
				if left {
					m.Views[0].Install(nil)
				}
			}}
			if left {
				nd.askNobody()
			}
			tag, err := nd.Set(bg, []byte("k"), []byte("v"), kv.Options{})
			if left {
				wantOutcome(t, err, kv.None)
			} else if err != nil || tag.Generation != 1 {
				t.Errorf("%v, %v", tag, err)
			}
		})
	}
}
