package peer

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"viakv/api/kv"
	"viakv/node/transport"
	"viakv/node/wire"
	"viakv/quorum"
	"viakv/quorum/lease"
	"viakv/quorum/replica"
	"viakv/quorum/version"
)

// hold makes a member hold leases, at its present epoch, until the test ends.
func (m *member) hold() {
	ctx, stop := context.WithCancel(m.ctx)
	m.w.t.Cleanup(stop)
	go m.present.Load().HoldLeases(ctx)
	m.Current().Held.Use()
}

// named reports whether a member names another one, as far as it knows.
func (m *member) named(holder *member) bool {
	for _, n := range m.Current().Given.Names() {
		if n.Holder == holder.incarnation() {
			return true
		}
	}
	return false
}

// L1, L2: a member that leases are of use to holds leases of all others. It renews them, and is
// alone without a gap. It catches up with those that hold something else, and with no other.
func TestAMemberHoldsLeases(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		w.nodes[1].put("k", 7, "v")
		a := w.nodes[0]
		a.hold()
		time.Sleep(20 * time.Millisecond)
		if n := a.caughtUp.Load(); n != 1 || a.holds("k") != "v" {
			t.Errorf("it has caught up %d times, and holds %q", n, a.holds("k"))
		}
		for range 900 { // a pause begins after a second
			if !a.Current().Alone() || !w.nodes[1].named(a) || !w.nodes[2].named(a) {
				t.Fatalf("alone: %v; named: %v, %v", a.Current().Alone(), w.nodes[1].named(a), w.nodes[2].named(a))
			}
			time.Sleep(time.Millisecond)
		}
		for range 3 {
			a.Current().Held.Use()
			time.Sleep(900 * time.Millisecond)
		}
		if !a.Current().Alone() || a.caughtUp.Load() != 1 {
			t.Errorf("alone: %v; caught up %d times", a.Current().Alone(), a.caughtUp.Load())
		}
	})
}

// A member whose machine has stood still does not rest on the leases that it held before, and asks
// for them anew. What it has promised itself goes on.
func TestAMemberThatHasStoodStillAsksAnew(t *testing.T) {
	var moves atomic.Uint64
	inWorld(t, 3, func(w *world) {
		a, b := w.nodes[0], w.nodes[1]
		a.hold()
		b.hold()
		time.Sleep(20 * time.Millisecond)
		moves.Add(1)
		if a.Current().Alone() || !b.Current().Alone() || !a.named(b) || !b.named(a) {
			t.Errorf("alone: %v, %v; named: %v, %v", a.Current().Alone(), b.Current().Alone(), a.named(b), b.named(a))
		}
		time.Sleep(term)
		if !a.Current().Alone() {
			t.Error("not alone by leases that it has asked for since")
		}
	}, func(m *member) {
		if m.i == 0 {
			m.marker = moves.Load
		}
	})
}

// A member gives its leases back when they are of no use, and gets others when they are.
func TestLeasesThatAreOfNoUseAreGivenBack(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		a := w.nodes[0]
		a.hold()
		time.Sleep(2*unusedAfter + term)
		if a.Current().Alone() || w.nodes[1].named(a) || w.nodes[2].named(a) {
			t.Errorf("alone: %v; named: %v, %v", a.Current().Alone(), w.nodes[1].named(a), w.nodes[2].named(a))
		}
		way := w.through()
		time.Sleep(10 * time.Second)
		if n := way.sent(wire.Lease); n > 0 {
			t.Errorf("%d requests for leases of no use", n)
		}
		a.Current().Held.Use()
		time.Sleep(20 * time.Millisecond)
		if !a.Current().Alone() {
			t.Error("not alone once leases are of use again")
		}
	})
}

// A member asks for no leases where they are not wanted, or help nothing. It gives back those that
// it has.
func TestWhoAsksForNoLeases(t *testing.T) {
	for name, change := range map[string]func(*replica.View){
		"reads by quorum": func(v *replica.View) { v.Leases = false },
		"it has left": func(v *replica.View) {
			v.Slots, v.Members, v.Self = 2, v.Members[1:], -1
		},
		"weak quorums": func(v *replica.View) { v.R, v.W = 2, 1 },
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, 3, func(w *world) {
				a := w.nodes[0]
				a.hold()
				time.Sleep(20 * time.Millisecond)
				if !w.nodes[1].named(a) {
					t.Fatal("no lease before the change")
				}
				v := a.view(firstEpoch)
				change(&v)
				v.Epoch++
				w.begin(firstEpoch+1, 1, 2)
				self := v.Me().Holder()
				next := a.Next(v, a.store, self)
				a.store.Advance(v.Epoch, w.generation)
				a.Enter(next)
				a.hold()
				time.Sleep(20 * time.Millisecond)
				if w.nodes[1].named(a) || w.nodes[2].named(a) {
					t.Error("it holds a lease")
				}
				way := w.through()
				time.Sleep(term)
				if n := way.sent(wire.Lease); n > 0 {
					t.Errorf("%d requests for leases", n)
				}
			})
		})
	}
}

// L13: a member that stops gives back what it holds, and gives no more leases.
func TestAMemberThatStopsEndsItsLeases(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		a, b := w.nodes[0], w.nodes[1]
		a.hold()
		b.hold()
		time.Sleep(20 * time.Millisecond)
		a.present.Load().EndLeases(w.soon())
		if b.named(a) || w.nodes[2].named(a) || a.Current().Alone() {
			t.Error("it holds a lease")
		}
		time.Sleep(2 * term)
		a.Current().Held.Use()
		time.Sleep(2 * term)
		if b.named(a) || a.named(b) && a.Current().Given.Quiet(firstEpoch+1) != 0 {
			t.Error("it has a lease, or has given one")
		}
		if !b.Current().Alone() {
			t.Error("the other member is not alone by the lease of the third one")
		}
	})
}

// L2: a session with which a member cannot catch up does not count. It tries again.
func TestCatchingUpMayFail(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		w.nodes[1].put("k", 7, "v")
		w.nodes[2].put("l", 7, "v")
		a := w.nodes[0]
		a.catchErr.Store(true)
		a.hold()
		time.Sleep(term)
		if a.Current().Alone() || a.caughtUp.Load() < 4 {
			t.Errorf("alone: %v; tried %d times", a.Current().Alone(), a.caughtUp.Load())
		}
		a.catchErr.Store(false)
		time.Sleep(term / 2)
		if !a.Current().Alone() {
			t.Error("not alone once it has caught up")
		}
	})
}

// A lease that could not be given back is given back with the next request for one.
func TestALeaseIsGivenBackLater(t *testing.T) {
	inWorld(t, 2, func(w *world) {
		a, b := w.nodes[0], w.nodes[1]
		a.hold()
		time.Sleep(20 * time.Millisecond)
		before := a.nameOf(b, a)
		b.Current().Given.Give(a.incarnation(), firstEpoch)
		a.Current().Held.Drop() // and nobody has told b
		time.Sleep(2 * term)
		if after := a.nameOf(b, a); !a.Current().Alone() || after.Session == before.Session {
			t.Errorf("alone: %v, by %v after %v", a.Current().Alone(), after, before)
		}
	})
}

// L9, L10: a session goes on past the end of its epoch. Its grantor is quiet at the next one once
// the holder has asked there, or once the lease is over.
func TestAMemberIsQuietOnceItsHoldersHaveMoved(t *testing.T) {
	for name, moved := range map[string]func(w *world, session uint64){
		"asks at the epoch": func(w *world, session uint64) {
			w.begin(firstEpoch+1, 0)
			if again := w.asks(0, 1); again != session {
				w.t.Errorf("session %d at the next epoch, %d before", again, session)
			}
		},
		"is over": func(*world, uint64) { time.Sleep(term + 1) },
	} {
		inWorld(t, 2, func(w *world) {
			b := w.nodes[1]
			session := w.asks(0, 1)
			if left := b.Quiet(firstEpoch); session == 0 || left != 0 {
				t.Errorf("%s: session %d, %v until quiet at its own epoch", name, session, left)
			}
			w.begin(firstEpoch+1, 1)
			if left := b.Quiet(firstEpoch + 1); left <= 0 || left > term+1 || !b.named(w.nodes[0]) {
				t.Errorf("%s: %v until quiet, and the holder is named: %v", name, left, b.named(w.nodes[0]))
			}
			moved(w, session)
			if left := b.Quiet(firstEpoch + 1); left != 0 {
				t.Errorf("%s: %v until quiet then", name, left)
			}
			if b.Term() != term {
				t.Errorf("%s: a lease lasts for %v", name, b.Term())
			}
		})
	}
}

// L10: heartbeats tell which epoch is known to be sealed.
func TestHeartbeatsTellWhatIsSealed(t *testing.T) {
	inWorld(t, 2, func(w *world) {
		w.nodes[0].sealedEpoch.Store(7)
		w.nodes[0].present.Load().Beat(w.soon())
		if got := w.nodes[1].sealedEpoch.Load(); got != 7 {
			t.Errorf("epoch %d", got)
		}
	})
}

// L14: a store carries the session that its coordinator relies on, and a vote none.
func TestAStoreSaysWhatItReliesOn(t *testing.T) {
	inWorld(t, 2, func(w *world) {
		record := version.Record{Tag: version.Tag{Counter: 1, Incarnation: 9}}
		relied := func(request []byte) uint64 {
			_, _, body, _ := wire.ParseRequest(request)
			r, err := wire.ParseStore(body)
			if err != nil {
				t.Error(err)
			}
			return r.Relied
		}
		call := func(kind quorum.Kind) *carrier {
			return &carrier{call: &quorum.Call{Kind: kind, Relied: 9, Records: []quorum.Entry{{Key: []byte("k"), Record: &record}}}, epoch: w.nodes[0].present.Load()}
		}
		if got := relied(call(quorum.Vote).encode(nil)); got != 0 {
			t.Errorf("a vote: %d", got)
		}
		way := w.through()
		way.stop(w.nodes[1].address())
		way.look = func(c *transport.Call) {
			if got := relied(c.Request); got != 9 {
				t.Errorf("a store: %d", got)
			}
			c.Done = ignored{}
		}
		store := call(quorum.Store)
		store.link = store.epoch.links[1]
		store.link.stores.add(store)
		if way.sent(wire.Stores) != 1 {
			t.Error("nothing was sent")
		}
	})
}

// ignored completes calls that nobody waits for.
type ignored struct{}

func (ignored) Complete(*transport.Call) {}

// Who gets no lease: a member that is no slot's process, one at another epoch, and anybody from a
// joiner whose barrier is not done. A lease is given back whatever the epoch is.
func TestWhoGetsALease(t *testing.T) {
	ask := func(w *world, want wire.Status, s wire.Stamp, q wire.LeaseRequest) (r wire.LeaseReply) {
		reply := w.inline(want, wire.AppendLease(wire.AppendRequest(nil, wire.Lease, s), &q))
		if want == wire.OK {
			var err error
			if r, err = wire.ParseLeaseReply(reply.Body); err != nil {
				w.t.Error(err)
			}
		}
		return r
	}
	wanted := wire.LeaseRequest{Wanted: true}
	inWorld(t, 3, func(w *world) {
		s := w.stamp(firstEpoch)
		first := ask(w, wire.OK, s, wanted)
		if first.Session == 0 || first.Digest == nil {
			t.Fatalf("%+v", first)
		}
		if r := ask(w, wire.OK, s, wire.LeaseRequest{Wanted: true, Counts: first.Session}); r.Session != first.Session || r.Digest != nil {
			t.Errorf("renewed: %+v", r)
		}
		elsewhere := s
		elsewhere.To = 4711
		ask(w, wire.WrongDestination, elsewhere, wire.LeaseRequest{Returned: first.Session})
		if !w.nodes[1].named(w.nodes[0]) {
			t.Error("the return that was meant for another process has ended the lease")
		}
		ask(w, wire.OK, w.stamp(firstEpoch+3), wire.LeaseRequest{Returned: first.Session})
		if w.nodes[1].named(w.nodes[0]) {
			t.Error("not given back")
		}
		w.inline(wire.WrongDestination, wire.AppendClose(wire.AppendRequest(nil, wire.Close, elsewhere), lease.Name{Holder: s.From, Session: 1}))
		ask(w, wire.Behind, w.stamp(firstEpoch+1), wanted)
		ask(w, wire.Stale, w.stamp(firstEpoch-1), wanted)
		stranger := s
		stranger.From = 4711
		ask(w, wire.NotActive, stranger, wanted)
		w.inline(wire.Malformed, wire.AppendRequest(nil, wire.Lease, s))
		w.inline(wire.Malformed, wire.AppendRequest(nil, wire.Close, s))
	})
	inWorld(t, 3, func(w *world) {
		w.nodes[0].pending = true
		w.begin(firstEpoch + 1)
		if r := ask(w, wire.OK, w.stamp(firstEpoch+1), wanted); r.Session != 0 {
			t.Errorf("a member that is rebuilding gets %+v", r)
		}
	})
	for joined, want := range map[bool]bool{true: false, false: true} {
		inWorld(t, 3, func(w *world) {
			w.nodes[1].barrier = &replica.Barrier{Joined: joined}
			w.begin(firstEpoch + 1)
			if r := ask(w, wire.OK, w.stamp(firstEpoch+1), wanted); (r.Session != 0) != want {
				t.Errorf("the barrier of a joiner (%v): %+v", joined, r)
			}
		})
	}
}

// L5: a member is asked once to end a session, and asked again until it is over, also past the end
// of the epoch.
func TestASessionIsEnded(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		a, c := w.nodes[0], w.nodes[2]
		c.hold()
		time.Sleep(20 * time.Millisecond)
		n := a.nameOf(w.nodes[1], c)
		way := w.through()
		v := a.Current()
		for range 3 {
			a.client.Close(v, 1, n)
		}
		synctest.Wait()
		if sent := way.sent(wire.Close); sent != 1 {
			t.Errorf("asked %d times at once", sent)
		}
		w.begin(firstEpoch + 1)
		time.Sleep(term / 2)
		if v.Ended.Known(w.nodes[1].incarnation(), n) {
			t.Error("known to be over before it is")
		}
		time.Sleep(term)
		if !v.Ended.Known(w.nodes[1].incarnation(), n) || v.Ended.Known(w.nodes[1].incarnation(), lease.Name{Holder: n.Holder, Session: n.Session + 1}) {
			t.Error("not known to be over")
		}
		if sent := way.sent(wire.Close); sent > closePolls+1 {
			t.Errorf("asked %d times", sent)
		}
		if w.nodes[1].named(c) {
			t.Error("the session is named after its end")
		}
	})
}

// L5: a session is over when its grantor says so. A request that does not reach the grantor, that
// gets no answer, or that another process answers, tells nothing.
func TestASessionIsNotOverForWantOfAnAnswer(t *testing.T) {
	for name, fault := range map[string]func(w *world){
		"not sent":  func(w *world) { w.through().stop(w.nodes[1].address()) },
		"no answer": func(w *world) { w.net.Cut(w.nodes[1].address(), w.nodes[0].address()) },
		"refused": func(w *world) {
			w.answers(w.nodes[1].address(), func([]byte) []byte {
				return wire.AppendClosed(wire.AppendReply(nil, wire.WrongDestination, 0, 0, firstEpoch), 0)
			})
		},
	} {
		inWorld(t, 3, func(w *world) {
			a, b, c := w.nodes[0], w.nodes[1], w.nodes[2]
			c.hold()
			time.Sleep(20 * time.Millisecond)
			n, v := a.nameOf(b, c), a.Current()
			fault(w)
			a.client.Close(v, 1, n)
			time.Sleep(3 * term)
			if n.Session == 0 || v.Ended.Known(b.incarnation(), n) {
				t.Errorf("%s: session %d counts as over", name, n.Session)
			}
		})
	}
}

// nameOf returns the session of a holder that another member names.
func (*member) nameOf(grantor, holder *member) (n lease.Name) {
	for _, n := range grantor.Current().Given.Names() {
		if n.Holder == holder.incarnation() {
			return n
		}
	}
	return n
}

// L14: what a replica vouches for. It holds nothing newer, or the very record, or the session that
// the coordinator relies on is named.
func TestWhatAReplicaVouchesFor(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		s := w.stamp(firstEpoch)
		session := w.nodes[1].Current().Given.Give(s.From, firstEpoch)
		record := func(counter uint64) *version.Record {
			return &version.Record{Tag: version.Tag{Generation: 1, Counter: counter, Incarnation: s.From}, Value: []byte("v")}
		}
		check := func(what any, relied, counter uint64, want bool) {
			t.Helper()
			r := w.inline(wire.OK, wire.AppendStore(wire.AppendRequest(nil, wire.Stores, s), relied, []byte("k"), record(counter)))
			ack, err := wire.ParseAcknowledgement(nil, r.Body, 1)
			if err != nil || ack.Vouches(0) != want || len(ack.Names) != 1 || ack.Names[0] != (lease.Name{Holder: s.From, Session: session}) {
				t.Errorf("%v: %+v, %v", what, ack, err)
			}
		}
		for i, c := range []struct {
			relied, counter uint64
			want            bool
		}{{0, 5, true}, {0, 5, true}, {0, 4, false}, {session, 4, true}, {session + 1, 4, false}, {0, 6, true}} {
			check(i, c.relied, c.counter, c.want)
		}
		tombstone := version.Record{Tag: record(6).Tag.Tombstone(), Owner: version.Operation{Incarnation: 9, Sequence: 7}}
		if _, err := w.nodes[1].store.Put(firstEpoch, seed.Hash([]byte("k")), []byte("k"), &tombstone); err != nil {
			t.Fatal(err)
		}
		check("below a tombstone", 0, 6, false)
		check("above a tombstone", 0, 7, true)
	})
}

// A cluster of members that hold leases answers gets at each of them from its own copy, and all
// agree on what was set.
func TestMembersAnswerAlone(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		for _, m := range w.nodes {
			m.hold()
		}
		time.Sleep(20 * time.Millisecond)
		for i, m := range w.nodes {
			if _, err := m.coordinator.Set(w.soon(), []byte("k"), []byte{byte('a' + i)}, kv.Options{}); err != nil {
				t.Fatal(err)
			}
			for _, r := range w.nodes {
				if v, _, err := r.coordinator.Get(w.soon(), nil, []byte("k"), kv.Options{}); err != nil || string(v) != string([]byte{byte('a' + i)}) {
					t.Errorf("%s: %q, %v", r.name(), v, err)
				}
			}
			if err := m.coordinator.RemoveHere(w.soon(), []byte("k"), kv.Options{}); err != nil {
				t.Error(err)
			}
			time.Sleep(term) // the watermarks travel with the renewals
			for _, r := range w.nodes {
				before := r.coordinator.Stats().Local
				if _, err := r.coordinator.Has(w.soon(), []byte("k"), kv.Options{}); !errors.Is(err, kv.ErrMissing) {
					t.Errorf("%s: %v", r.name(), err)
				}
				if r.coordinator.Stats().Local != before+1 {
					t.Errorf("%s has asked", r.name())
				}
			}
		}
		for _, m := range w.nodes {
			if s := m.coordinator.Stats(); s.OneRound != s.Writes {
				t.Errorf("%s: %d of %d sets took one round", m.name(), s.OneRound, s.Writes)
			}
		}
	})
}
