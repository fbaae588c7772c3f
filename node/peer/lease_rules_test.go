package peer

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"viakv/api/kv"
	"viakv/node/wire"
	"viakv/quorum/lease"
	"viakv/quorum/replica"
	"viakv/quorum/version"
)

// The mutation gate (node/simulation) runs these tests with the rule switched off, too, and then
// they must fail.

// lend makes all members enter an epoch at which nodes answer alone where leases allow it.
func (w *world) lend(e version.Epoch, change func(m *member, v *replica.View)) {
	for _, m := range w.nodes {
		v := m.view(e)
		v.Leases = true
		if change != nil {
			change(m, &v)
		}
		next := m.Next(v, m.store, m.incarnation())
		m.store.Advance(e, w.generation)
		m.Enter(next)
	}
}

// asks makes a member ask another one for a lease. It returns the only session that the other one
// names then, and zero when there is none.
func (w *world) asks(holder, grantor int) (session uint64) {
	w.nodes[holder].present.Load().askLease(context.Background(), grantor)
	for _, n := range w.nodes[grantor].Current().Given.Names() {
		session = n.Session
	}
	return session
}

// L7: the first two members hold a value that the third one, which answers alone, does not hold
// yet. A read that finds it at these two must not answer before the lease of the third is over.
func TestAReplyToAQueryNamesHolders(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		w.lend(firstEpoch+1, nil)
		if w.asks(2, 0) == 0 {
			t.Fatal("no lease")
		}
		w.nodes[0].put("k", 9, "new")
		w.nodes[1].put("k", 9, "new")
		w.net.Cut(w.nodes[1].address(), w.nodes[2].address())
		w.net.Cut(w.nodes[2].address(), w.nodes[1].address())
		began := time.Now()
		got, _, err := w.nodes[1].coordinator.Get(w.soon(), nil, []byte("k"), kv.Options{})
		if err != nil || string(got) != "new" {
			t.Fatalf("%q, %v", got, err)
		}
		took, alone := time.Since(began), w.nodes[2].Current().Alone()
		if _, _, err := w.nodes[2].coordinator.Get(w.soon(), nil, []byte("k"), kv.Options{}); errors.Is(err, kv.ErrMissing) {
			t.Errorf("answered after %v, and then the third member, alone: %v, does not find it", took, alone)
		}
	})
}

// L4: the third member answers alone by a lease of the second one, and the first one cannot reach
// it. What the second one acknowledges names it, be it a store or a vote. So a write of the first
// one is not answered before the lease is over.
func TestAcknowledgementsOfPeersNameHolders(t *testing.T) {
	for name, c := range map[string]struct {
		write func(w *world, at *member) error
		want  string
	}{
		"set": {func(w *world, at *member) error {
			_, err := at.coordinator.Set(w.soon(), []byte("k"), []byte("new"), kv.Options{})
			return err
		}, "new"},
		"remove": {func(w *world, at *member) error {
			return at.coordinator.RemoveHere(w.soon(), []byte("k"), kv.Options{})
		}, ""},
	} {
		inWorld(t, 3, func(w *world) {
			a, third := w.nodes[0], w.nodes[2]
			get := func() string {
				got, _, err := third.coordinator.Get(w.soon(), nil, []byte("k"), kv.Options{})
				if err != nil && !errors.Is(err, kv.ErrMissing) {
					t.Fatal(err)
				}
				return string(got)
			}
			for _, m := range w.nodes {
				m.put("k", 9, "old")
				m.Marks.Learn(9, 10)
			}
			w.lend(firstEpoch+1, nil)
			w.asks(2, 1)
			if got, local := get(), third.coordinator.Stats().Local; got != "old" || local != 1 {
				t.Fatalf("%s: %q, and %d answers of its own copy", name, got, local)
			}
			w.net.Cut(a.address(), third.address())
			w.net.Cut(third.address(), a.address())
			if err := c.write(w, a); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if got := get(); got != c.want {
				t.Errorf("%s was answered, and then the third member finds %q, want %q", name, got, c.want)
			}
		})
	}
}

// busy keeps the part of a member's store busy where a key is, until stop is called. Who stores
// something there waits for its turn.
func (m *member) busy(key []byte) (stop func()) {
	e, older := m.present.Load(), version.Record{Tag: version.Tag{Generation: m.w.generation, Counter: 1, Incarnation: 9}}
	var over atomic.Bool
	var others sync.WaitGroup
	others.Go(func() {
		for !over.Load() {
			_, _ = e.Store.Put(e.View.Epoch, seed.Hash(key), key, &older)
		}
	})
	return func() {
		over.Store(true)
		others.Wait()
	}
}

// namesLate has the second member serve requests that store something under a key as their last
// step, and begins a session meanwhile. Where the session began before that step, the answer must
// name it. Goroutines that run at once make the schedule, so it tries until that has come about.
func (w *world) namesLate(key []byte, serve func(tag version.Tag) wire.Reply, begun func(tag version.Tag) bool) {
	holder, m := w.nodes[0].incarnation(), w.nodes[1]
	defer m.busy(key)()
	before, unnamed := 0, 0
	for counter := uint64(2); counter < 20_000 && before < 20; counter++ {
		tag := version.Tag{Generation: w.generation, Counter: counter, Incarnation: holder}
		answered := make(chan wire.Reply)
		go func() { answered <- serve(tag) }()
		for !begun(tag) {
			runtime.Gosched()
		}
		session := m.Current().Given.Give(holder, firstEpoch)
		own, _, err := m.store.Tag(firstEpoch, seed.Hash(key), key, nil)
		r := <-answered
		ack, malformed := wire.ParseAcknowledgement(nil, r.Body, 2)
		if err != nil || malformed != nil {
			w.t.Error(err, malformed)
		}
		if own.Tag.Counter < counter {
			before++
			if !slices.Contains(ack.Names, lease.Name{Holder: holder, Session: session}) {
				unnamed++
			}
		}
		m.Current().Given.Returned(holder, session)
	}
	if before == 0 || unnamed > 0 {
		w.t.Errorf("a session began before each of %d records was stored, and %d answers do not name it", before, unnamed)
	}
}

// L4: the names in the acknowledgement of a batch are looked up after its last store.
func TestNamesAreLookedUpAfterTheLastStore(t *testing.T) {
	inWorld(t, 2, func(w *world) {
		first, last := []byte("first"), []byte("last")
		w.namesLate(last, func(tag version.Tag) wire.Reply {
			rec := version.Record{Tag: tag, Value: []byte("v")}
			request := wire.AppendStore(wire.AppendRequest(nil, wire.Stores, w.stamp(firstEpoch)), 0, first, &rec)
			return w.inline(wire.OK, wire.AppendStore(request, 0, last, &rec))
		}, func(tag version.Tag) bool {
			own, _, err := w.nodes[1].store.Tag(firstEpoch, seed.Hash(first), first, nil)
			return err == nil && own.Tag == tag
		})
	})
}

// L4: the names in the answer to a vote are looked up after it was given.
func TestNamesAreLookedUpAfterAVote(t *testing.T) {
	inWorld(t, 2, func(w *world) {
		key := []byte("k")
		w.namesLate(key, func(tag version.Tag) wire.Reply {
			rec := version.Record{Tag: tag.Tombstone(), Owner: version.Operation{Incarnation: tag.Incarnation, Sequence: tag.Counter}}
			return w.inline(wire.OK, wire.AppendStore(wire.AppendRequest(nil, wire.Vote, w.stamp(firstEpoch)), 0, key, &rec))
		}, func(tag version.Tag) bool { return w.nodes[1].Counter.Now() >= tag.Counter })
	})
}

// L4: a replica that finds nothing at the epoch of a clear looks whether that is sealed, before it
// answers. A session that begins by then is named: names are looked up after the record.
func TestNamesAreLookedUpAfterTheRecord(t *testing.T) {
	inWorld(t, 2, func(w *world) {
		w.lend(firstEpoch+1, func(_ *member, v *replica.View) { v.Cleared = firstEpoch + 1 })
		m, s := w.nodes[1], w.stamp(firstEpoch+1)
		session := uint64(0)
		m.judging = func() {
			m.judging = nil
			session = m.Current().Given.Give(s.From, firstEpoch+1)
		}
		r := w.inline(wire.OK, wire.AppendRead(wire.AppendRequest(nil, wire.Read, s), &wire.ReadRequest{Value: true, Key: []byte("k"), Have: version.Tag{Counter: 1}}))
		reply, err := wire.ParseReadReply(nil, r.Body, false)
		if err != nil || session == 0 || !slices.Contains(reply.Names, lease.Name{Holder: s.From, Session: session}) {
			t.Errorf("session %d began before the answer, which names %v, %v", session, reply.Names, err)
		}
	})
}

// L2: while the second member begins a session, it stores a record whose acknowledgement does not
// name the session yet. Its digest shows the record, so the first member does not take itself for
// equal without it.
func TestADigestIsNotOlderThanItsSession(t *testing.T) {
	clock := lease.Monotonic()
	var beginning func()
	inWorld(t, 2, func(w *world) {
		w.lend(firstEpoch+1, nil)
		a, b := w.nodes[0], w.nodes[1]
		beginning = func() {
			beginning = nil
			b.put("k", 9, "new")
		}
		if w.asks(0, 1) == 0 || b.holds("k") == "" {
			t.Fatal("the test's schedule did not come about")
		}
		if a.Current().Alone() && a.holds("k") == "" {
			t.Error("a member is alone, and lacks what its grantor stored before the session began")
		}
	}, func(m *member) {
		if m.i == 1 {
			m.clock = func() time.Duration {
				if f := beginning; f != nil {
					f()
				}
				return clock()
			}
		}
	})
}

// L2: a member that has joined gives no lease before its barrier is done.
func TestAJoinerGivesNoLeaseBeforeItsBarrierIsDone(t *testing.T) {
	for _, joined := range []bool{true, false} {
		inWorld(t, 2, func(w *world) {
			w.lend(firstEpoch+1, func(m *member, v *replica.View) {
				if m.i == 1 {
					v.Barrier = &replica.Barrier{Joined: joined}
				}
			})
			if got := w.asks(0, 1) != 0; got == joined {
				t.Errorf("a member that owes a barrier, because it has joined: %v, gives a lease: %v", joined, got)
			}
		})
	}
}

// L14: the second member holds something newer than what the first one has written without asking.
// It vouches for that only while the very session stands on which the first one relied.
func TestOnlyTheSessionThatWasReliedOnVouches(t *testing.T) {
	inWorld(t, 2, func(w *world) {
		w.lend(firstEpoch+1, nil)
		vouches := func(relied uint64, tag version.Tag) bool {
			t.Helper()
			rec := version.Record{Tag: tag, Value: []byte("late")}
			r := w.inline(wire.OK, wire.AppendStore(wire.AppendRequest(nil, wire.Stores, w.stamp(firstEpoch+1)), relied, []byte("k"), &rec))
			ack, err := wire.ParseAcknowledgement(nil, r.Body, 1)
			if err != nil {
				t.Fatal(err)
			}
			return ack.Vouches(0)
		}
		first := w.asks(0, 1)
		newer := w.nodes[1].put("k", 9, "newer")
		older := newer.Tag
		older.Counter--
		if first == 0 || !vouches(first, older) {
			t.Error("a member does not vouch while its session stands")
		}
		time.Sleep(200 * time.Millisecond)
		second := w.asks(0, 1)
		if second <= first {
			t.Fatalf("sessions %d and %d", first, second)
		}
		for _, c := range []struct {
			relied uint64
			tag    version.Tag
			want   bool
		}{{first, older, false}, {0, older, false}, {second, older, true}, {0, newer.Tag, true}} {
			if got := vouches(c.relied, c.tag); got != c.want {
				t.Errorf("session %d, of %d, and tag %v: vouches: %v", c.relied, second, c.tag, got)
			}
		}
	})
}
