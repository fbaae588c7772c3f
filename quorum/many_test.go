package quorum

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"viakv/api/kv"
	"viakv/quorum/lease"
	"viakv/quorum/replica"
	"viakv/quorum/replica/replicatest"
	"viakv/quorum/version"
)

// sets is some values that are written in one operation.
type sets []*setter

// setsOf returns sets of keys k0, k1 and so on, whose values are v0, v1 and so on.
func setsOf(n int) (s sets) {
	for i := range n {
		s = append(s, newSet(fmt.Sprint("k", i), fmt.Sprint("v", i)))
	}
	return s
}

func newSet(key, value string) *setter {
	return &setter{key: []byte(key), value: []byte(value), done: make(chan struct{}, 1)}
}

// at writes the values at a node, and returns when all have their outcome.
func (s sets) at(nd *node) {
	nd.setAll(s, kv.Options{})
	for _, set := range s {
		<-set.done
	}
}

// Many values take one call to each member, whatever their number, and each has a version of its
// own. Of several for a key the last one stays.
func TestManyValuesShareTheirCalls(t *testing.T) {
	for _, n := range []int{1, 2, 3, 5} {
		inMesh(t, n, func(t *testing.T, m *mesh) {
			m.Lease(0, members(n)[1:]...)
			nd, calls := m.nodes[0], 0
			nd.filter = func(c *Call) bool {
				calls++
				if c.Kind != Store || len(c.Records) != 101 || c.Relied == 0 {
					t.Errorf("a call of kind %d with %d records, which relies on %d", c.Kind, len(c.Records), c.Relied)
				}
				return false
			}
			writes := append(setsOf(100), newSet("k7", "last"))
			writes.at(nd)
			synctest.Wait()
			if calls != n-1 {
				t.Errorf("N=%d: %d calls", n, calls)
			}
			seen := map[version.Tag]bool{}
			for _, w := range writes {
				if w.err != nil || seen[w.tag] {
					t.Fatalf("%s: %v, %v", w.key, w.tag, w.err)
				}
				seen[w.tag] = true
			}
			if s := nd.Stats(); s.OneRound != 101 || nd.open() {
				t.Errorf("%+v, open: %v", s, nd.open())
			}
			for i, nd := range m.nodes {
				nd.filter = nil
				nd.wantValue("k99", "v99")
				if got := m.Stores[i].Record("k7"); string(got.Value) != "last" || got.Tag != writes[100].tag {
					t.Errorf("member %d holds %v", i, got)
				}
			}
		})
	}
}

// A node that does not answer alone does nothing: each value needs a question of its own. Neither
// does one that is no member.
func TestManyValuesWithoutLeases(t *testing.T) {
	inMesh(t, 3, func(t *testing.T, m *mesh) {
		nd, writes := m.nodes[0], setsOf(3)
		nd.askNobody()
		writes.at(nd)
		for _, w := range writes {
			if w.err != errAsk {
				t.Error(w.err)
			}
		}
		if nd.open() {
			t.Error("a number is open")
		}
		m.Views[0].Install(nil)
		writes.at(nd)
		for _, w := range writes {
			wantOutcome(t, w.err, kv.None)
		}
		if m.Stores[0].Record("k1").Live() {
			t.Error("something was stored")
		}
	})
}

// Values are refused while a member may hold no more, and nothing is stored.
func TestManyValuesAreRefusedWhereAMemberIsFull(t *testing.T) {
	inMesh(t, 3, func(t *testing.T, m *mesh) {
		m.Lease(0, 1, 2)
		m.Stores[0].SetFull(true)
		nd, writes := m.nodes[0], setsOf(3)
		nd.askNobody()
		writes.at(nd)
		for _, w := range writes {
			if !errors.Is(w.err, kv.ErrMemoryLimit) {
				t.Error(w.err)
			}
		}
		if nd.open() || m.Stores[0].Record("k1").Live() {
			t.Error("something was stored")
		}
	})
}

// newer is above what a node writes in these tests, so a member that holds it does not vouch.
var newer = version.Record{Tag: version.Tag{Counter: 999, Incarnation: 3}, Value: []byte("newer")}

// doubting makes node 0 rely on a lease of member 1 only. Members 2 and beyond hold something newer
// of some keys, and so do not vouch for what node 0 writes below it.
func (m *mesh) doubting(keys ...string) {
	m.Lease(0, 1)
	for _, k := range keys {
		for _, s := range m.Stores[2:] {
			s.Merge(k, newer)
		}
	}
}

// L14: each record is vouched for by itself. The values that are vouched for do not wait for the
// others, of which the outcome is unknown when a voucher is silent.
func TestEachOfManyIsVouchedForByItself(t *testing.T) {
	inMesh(t, 3, func(t *testing.T, m *mesh) {
		m.doubting("k1", "k2")
		nd, writes := m.nodes[0], setsOf(4)
		nd.silence(1)
		began := time.Now()
		nd.setAll(writes, kv.Options{}) // returns when the first have their outcome
		<-writes[0].done
		<-writes[3].done
		if took := time.Since(began); took != 0 || writes[0].err != nil || writes[3].err != nil {
			t.Errorf("after %v: %v, %v", took, writes[0].err, writes[3].err)
		}
		<-writes[1].done
		<-writes[2].done
		wantOutcome(t, writes[1].err, kv.Unknown)
		wantOutcome(t, writes[2].err, kv.Unknown)
		if s := nd.Stats(); s.OneRound != 2 || s.Unknown != 2 {
			t.Errorf("%+v", s)
		}
		time.Sleep(2 * time.Minute) // the calls end
	})
}

// L14: where a member does not vouch for a record, another one may.
func TestAnotherMemberVouchesForOneOfMany(t *testing.T) {
	inMesh(t, 5, func(t *testing.T, m *mesh) {
		m.Lease(0, 1, 2)
		for i, k := range []string{"k0", "k1", "k1"} { // two members doubt k1, and one doubts k0
			m.Stores[2+i].Merge(k, newer)
		}
		m.view(2).Given.Close(lease.Name{Holder: m.view(0).Incarnation(), Session: 1})
		nd, writes := m.nodes[0], setsOf(3)
		writes.at(nd)
		for _, w := range writes {
			if w.err != nil {
				t.Errorf("%s: %v", w.key, w.err)
			}
		}
	})
}

// An epoch that ends while values are being stored here: those that are stored go on with their
// tag, and the others begin anew. Past a clear, the outcome of the first ones is unknown.
func TestManyValuesAtTheEndOfAnEpoch(t *testing.T) {
	for _, clear := range []bool{false, true} {
		inMesh(t, 3, func(t *testing.T, m *mesh) {
			m.Lease(0, 1, 2)
			nd, writes := m.nodes[0], setsOf(4)
			h := &hooked{Store: m.Stores[0]}
			m.view(0).Store = h
			h.atPut(3, func() {
				m.Advance(func(v *replica.View) {
					if clear {
						v.Generation, v.Cleared = 1, m.Epoch
					}
				}, 0, 1, 2)
				m.Lease(0, 1, 2)
			})
			sent := map[string]version.Tag{}
			nd.filter = func(c *Call) bool {
				for _, e := range c.Records {
					if tag, is := sent[string(e.Key)]; is && tag != e.Record.Tag {
						t.Errorf("%s is sent as %v and %v", e.Key, tag, e.Record.Tag)
					}
					sent[string(e.Key)] = e.Record.Tag
				}
				return false
			}
			writes.at(nd)
			for i, w := range writes {
				switch {
				case clear && i < 2:
					wantOutcome(t, w.err, kv.Unknown)
				case w.err != nil:
					t.Errorf("%s: %v", w.key, w.err)
				case w.tag != sent[string(w.key)]:
					t.Errorf("%s is %v and was sent as %v", w.key, w.tag, sent[string(w.key)])
				}
			}
		})
	}
}

// A value that was made and not stored when its epoch ends, at a node that does not answer alone
// any more, leaves no open number behind while the operation goes on.
func TestAValueThatWasNotStoredIsForgotten(t *testing.T) {
	inMesh(t, 3, func(t *testing.T, m *mesh) {
		m.Lease(0, 1, 2)
		nd, writes := m.nodes[0], setsOf(2)
		nd.silence(2)
		h := &hooked{Store: m.Stores[0]}
		m.view(0).Store = h
		h.atPut(2, func() { m.Advance(func(v *replica.View) { v.Leases = false }, 0, 1, 2) })
		writes.at(nd)
		synctest.Wait()
		if writes[0].err != nil || writes[1].err != errAsk || nd.open() {
			t.Errorf("%v, %v, open: %v", writes[0].err, writes[1].err, nd.open())
		}
		time.Sleep(time.Minute)
	})
}

// L14: after an epoch has ended, this node judges anew what it sends again. Of two values one was
// overtaken in its own copy. Nobody else's word helps that one, and it does not hold up the other.
func TestOneOfManyIsOvertakenAtHome(t *testing.T) {
	for i := range 4 {
		overtaken, opt := i%2, kv.Options{}
		if i < 2 {
			opt.W = kv.QuorumAll
		}
		inMesh(t, 3, func(t *testing.T, m *mesh) {
			m.Lease(0, 1, 2)
			nd, writes := m.nodes[0], setsOf(2)
			first := true
			nd.filter = func(*Call) bool {
				if first {
					first = false
					m.Stores[0].Merge(string(writes[overtaken].key), newer)
					m.Advance(nil, 1, 2)
					m.Views[0].Install(m.View(0, nil))
				}
				return false
			}
			nd.setAll(writes, opt)
			<-writes[0].done
			<-writes[1].done
			wantOutcome(t, writes[overtaken].err, kv.Unknown)
			if err := writes[1-overtaken].err; err != nil {
				t.Error(err)
			}
		})
	}
}

// What is not known to be complete is completed afterwards, key by key, and a member that missed
// the values gets a hint for each.
func TestManyValuesThatAreNotComplete(t *testing.T) {
	inMesh(t, 3, func(t *testing.T, m *mesh) {
		m.Lease(0, 1, 2)
		nd, writes := m.nodes[0], setsOf(3)
		nd.filter = fail
		writes.at(nd)
		for _, w := range writes {
			wantOutcome(t, w.err, kv.Unknown)
		}
		synctest.Wait()
		if len(m.misses) != 6 || !nd.open() {
			t.Errorf("hints %v, open: %v", m.misses, nd.open())
		}
		nd.filter = nil
		defer nd.completes()()
		nd.settled(t)
		if got := m.Stores[1].Record("k2"); string(got.Value) != "v2" {
			t.Errorf("member 1 holds %v", got)
		}
	})
}

// A member that is rebuilding has no say. Its doubt of one value does not hide that the others
// vouch for it, in whatever order the values come.
func TestOnlyTheDoubtsOfVotersCount(t *testing.T) {
	for _, order := range [][]int{{0, 1}, {1, 0}} {
		inMesh(t, 5, func(t *testing.T, m *mesh) {
			m.Advance(func(v *replica.View) { v.Members[4].Incarnation, v.Members[4].Pending = 0, 77 }, members(5)...)
			m.Lease(0, 1, 2)
			m.Stores[3].Merge("k0", newer)
			m.Stores[4].Merge("k1", newer)
			nd, writes := m.nodes[0], setsOf(2)
			nd.filter = func(c *Call) bool { return c.Member == 2 && fail(c) }
			sets{writes[order[0]], writes[order[1]]}.at(nd)
			wantOutcome(t, writes[0].err, kv.Unknown)
			if writes[1].err != nil {
				t.Errorf("order %v: %v", order, writes[1].err)
			}
		})
	}
}

// A value that was answered is not sent again when the epoch ends while others wait. A member that
// has not answered by then gets a hint for it.
func TestWhatWasAnsweredGetsItsHints(t *testing.T) {
	inMesh(t, 3, func(t *testing.T, m *mesh) {
		m.doubting("k1")
		nd, writes := m.nodes[0], setsOf(2)
		nd.silence(1)
		nd.setAll(writes, kv.Options{})
		<-writes[0].done
		if writes[0].err != nil {
			t.Fatal(writes[0].err)
		}
		m.Advance(nil, 0, 1, 2)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if m.Stores[1].Record("k0").Live() || !slices.Contains(m.misses, "nb/k0") {
			t.Errorf("member 1 holds %v, hints: %v", m.Stores[1].Record("k0"), m.misses)
		}
	})
}

// The request of the first value does not wait for the others: neither where its value is vouched
// for, nor where an epoch's end decides it.
func TestTheFirstOfManyIsNotHeldUp(t *testing.T) {
	for _, decided := range []func(m *mesh, nd *node){
		func(m *mesh, nd *node) { m.doubting("k1"); nd.silence(1) },
		func(m *mesh, nd *node) {
			m.Lease(0, 1, 2)
			nd.filter = func(c *Call) bool { nd.swallow(c); return true }
			time.AfterFunc(time.Millisecond, func() {
				m.Advance(func(v *replica.View) {
					v.Purge, v.Purged = 1, func(_ uint64, key []byte) (version.Tag, bool) {
						if string(key) == "k0" {
							return newer.Tag, true
						}
						return version.Tag{}, true
					}
				}, 0, 1, 2)
			})
		},
	} {
		inMesh(t, 3, func(t *testing.T, m *mesh) {
			nd, writes := m.nodes[0], setsOf(2)
			decided(m, nd)
			began := time.Now()
			nd.setAll(writes, kv.Options{})
			<-writes[0].done
			first := time.Since(began)
			<-writes[1].done
			if all := time.Since(began); all < replicatest.Term || first > all/2 {
				t.Errorf("returned after %v, all have their outcome after %v", first, all)
			}
			time.Sleep(time.Minute)
		})
	}
}

// Values whose time is over before anything was done end so.
func TestManyValuesThatAreLate(t *testing.T) {
	inMesh(t, 3, func(t *testing.T, m *mesh) {
		m.Lease(0, 1, 2)
		nd, writes := m.nodes[0], setsOf(2)
		nd.askNobody()
		nd.setAll(writes, kv.Options{Deadline: time.Now()})
		wantOutcome(t, writes[0].err, kv.None)
		wantOutcome(t, writes[1].err, kv.None)
		if nd.open() || m.Stores[0].Record("k0").Live() {
			t.Error("something was stored")
		}
	})
}

// Each value that has waited for a holder counts.
func TestTheWaitsOfManyValuesCount(t *testing.T) {
	inMesh(t, 3, func(t *testing.T, m *mesh) {
		m.Lease(0, 1, 2)
		m.Lease(1, 0)
		nd := m.nodes[0]
		nd.filter = func(c *Call) bool {
			if c.Member != 1 {
				return false
			}
			nd.deliverAfter(20*time.Millisecond, nd.Current(), c)
			return true
		}
		setsOf(10).at(nd)
		synctest.Wait()
		if s := nd.Stats(); s.Waits.Count != 10 || s.Waits.Total < 200*time.Millisecond {
			t.Errorf("%+v", s.Waits)
		}
	})
}
