package peer

import (
	"context"
	"errors"
	"testing"
	"time"

	"viakv/node/storage"
	"viakv/node/wire"
	"viakv/quorum/replica"
	"viakv/quorum/version"
	"viakv/ring/keyspace"
)

// requests returns one request of each kind except removes and goodbyes. The field pending says
// whether a member that is still copying answers it.
func requests(s wire.Stamp) map[wire.Op]struct {
	bytes   []byte
	pending bool
} {
	record := version.Record{Tag: version.Tag{Generation: 1, Counter: 9, Incarnation: s.From}, Value: []byte("v")}
	tombstone := version.Record{
		Tag:   version.Tag{Generation: 1, Counter: 9, Incarnation: s.From, Removed: true},
		Owner: version.Operation{Incarnation: s.From, Sequence: 1},
	}
	head := func(op wire.Op) []byte { return wire.AppendRequest(nil, op, s) }
	all := wire.RangeRequest{Range: keyspace.All(), Max: 1 << 20}
	return map[wire.Op]struct {
		bytes   []byte
		pending bool
	}{
		wire.Read:      {wire.AppendRead(head(wire.Read), &wire.ReadRequest{Key: []byte("nothing")}), false},
		wire.Stores:    {wire.AppendStore(head(wire.Stores), 0, []byte("k"), &record), true},
		wire.Vote:      {wire.AppendStore(head(wire.Vote), 0, []byte("gone"), &tombstone), true},
		wire.Heartbeat: {wire.AppendHeartbeat(head(wire.Heartbeat), &wire.MemberReport{}), true},
		wire.Digests:   {wire.AppendRanges(head(wire.Digests), []keyspace.Range{keyspace.All()}), false},
		wire.Report:    {head(wire.Report), true},
		wire.Tags:      {wire.AppendRangeRequest(head(wire.Tags), all), false},
		wire.Copy:      {wire.AppendRangeRequest(head(wire.Copy), all), false},
		wire.Fetch:     {wire.AppendRanks(head(wire.Fetch), []keyspace.Rank{1}, nil), false},
		wire.Push:      {wire.AppendNext(head(wire.Push), keyspace.Place{}), true},
		wire.Purge:     {wire.AppendList(head(wire.Purge), 2, nil), false},
	}
}

// N2: a stamp must name the cluster, the epoch, the destination and a member, whatever the request
// asks for.
func TestARequestIsServedUnderItsStampOnly(t *testing.T) {
	for what, c := range map[string]struct {
		change func(*wire.Stamp)
		want   wire.Status
	}{
		"right":               {func(*wire.Stamp) {}, wire.OK},
		"another cluster":     {func(s *wire.Stamp) { s.Cluster++ }, wire.WrongCluster},
		"an older epoch":      {func(s *wire.Stamp) { s.Epoch-- }, wire.Stale},
		"a later epoch":       {func(s *wire.Stamp) { s.Epoch++ }, wire.Behind},
		"another destination": {func(s *wire.Stamp) { s.To++ }, wire.WrongDestination},
		"a stranger":          {func(s *wire.Stamp) { s.From = 12345 }, wire.NotActive},
	} {
		t.Run(what, func(t *testing.T) {
			inWorld(t, 3, func(w *world) {
				stamp := w.stamp(firstEpoch)
				c.change(&stamp)
				for op, r := range requests(stamp) {
					want := c.want
					if op == wire.Read && want == wire.OK {
						want = wire.Same // the replica holds nothing, like the sender
					}
					got := w.serve(want, r.bytes)
					if got.Status == wire.Stale && string(got.Body) != "epoch 5" {
						t.Errorf("%v: a sender that is behind is told %q", op, got.Body)
					}
				}
			})
		})
	}
}

// N3: a member that is still copying stores what it is sent, and answers no query.
func TestAMemberThatCopiesStoresAndAnswersNothing(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		w.nodes[1].pending = true
		w.begin(firstEpoch + 1)
		for _, r := range requests(w.stamp(firstEpoch + 1)) {
			want := wire.NotActive
			if r.pending {
				want = wire.OK
			}
			w.serve(want, r.bytes)
		}
		w.serve(wire.NotActive, w.removal("k", 1, firstEpoch+1))
		if got := w.nodes[1].store.Stats(); got.Tombstones != 1 || got.Keys != 1 || len(w.nodes[1].removes) != 0 {
			t.Errorf("the member has stored %+v, and was asked for %d removes", got, len(w.nodes[1].removes))
		}
	})
}

// A sealed membership refuses everything at once.
func TestASealedMembershipRefuses(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		w.nodes[1].Seal()
		w.nodes[1].Seal() // a second Seal changes nothing
		began := time.Now()
		for _, r := range requests(w.stamp(firstEpoch)) {
			w.serve(wire.NotActive, r.bytes)
		}
		if took := time.Since(began); took > 0 {
			t.Errorf("the refusals took %v", took)
		}
		k := []byte("k")
		if _, _, err := w.nodes[1].store.Get(firstEpoch, seed.Hash(k), k, nil); !errors.Is(err, replica.ErrEpoch) {
			t.Errorf("a get from the sealed node's own store: %v", err)
		}
	})
}

// A node that is no member answers no request, not even a request to incarnation zero.
func TestAStrangerAnswersNothing(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		m := w.nodes[1]
		v := m.view(firstEpoch + 1)
		v.Members[1].Incarnation = 0
		m.store.Advance(v.Epoch, v.Generation)
		m.Enter(m.Next(v, m.store, 0))
		stamp := w.stamp(firstEpoch + 1)
		stamp.To = 0
		for _, r := range requests(stamp) {
			w.serve(wire.WrongDestination, r.bytes)
		}
	})
}

// The phases are answered in place and by Serve alike. No other request of this list is answered in
// place.
func TestWhatIsAnsweredInPlace(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		for op, r := range requests(w.stamp(firstEpoch)) {
			_, ok := w.nodes[1].server.ServeInline(nil, r.bytes)
			if want := op == wire.Read || op == wire.Stores || op == wire.Vote || op == wire.Heartbeat; ok != want {
				t.Errorf("%v: in place %v", op, ok)
			}
		}
		if _, ok := w.nodes[1].server.ServeInline(nil, nil); ok {
			t.Error("an empty request is answered in place")
		}
		control := []byte{byte(wire.FirstControlOp)}
		if _, ok := w.nodes[1].server.ServeInline(nil, control); ok {
			t.Error("control is answered in place")
		}
		if got := w.nodes[1].server.Serve(context.Background(), nil, control); string(got) != "control" {
			t.Errorf("control is answered with %q", got)
		}
	})
}

// A request that cannot be read is refused as malformed, both in place and by Serve.
func TestMalformedRequests(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		for op, r := range requests(w.stamp(firstEpoch)) {
			w.serve(wire.Malformed, append(r.bytes, 1))
			if op == wire.Read {
				w.inline(wire.Malformed, append(r.bytes, 1))
			}
		}
		live := version.Record{Tag: version.Tag{Counter: 9, Incarnation: 1}, Value: []byte("v")}
		vote := wire.AppendStore(wire.AppendRequest(nil, wire.Vote, w.stamp(firstEpoch)), 0, []byte("k"), &live)
		w.inline(wire.Malformed, vote) // votes are for tombstones
		w.serve(wire.Malformed, []byte{byte(wire.Read)})
		w.serve(wire.Malformed, nil)
		w.inline(wire.Malformed, []byte{byte(wire.Read)})
		w.serve(wire.Malformed, wire.AppendRequest(nil, wire.Op(wire.FirstControlOp)-1, w.stamp(firstEpoch)))
	})
}

// A request may come after the store has moved to an epoch, and before the epoch is published. It
// waits for the publication, and is answered at the new epoch.
func TestARequestBetweenTwoEpochsWaits(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		m := w.nodes[1]
		between := func() { m.store.Advance(m.present.Load().View.Epoch+1, w.generation) }
		for _, op := range []wire.Op{wire.Stores, wire.Digests, wire.Push} {
			e := m.present.Load().View.Epoch
			request := requests(w.stamp(e))[op].bytes
			if op == wire.Push {
				record := version.Record{Tag: version.Tag{Generation: 1, Counter: 9, Incarnation: 1}, Value: []byte("v")}
				request = wire.AppendNext(wire.AppendEntry(wire.AppendRequest(nil, op, w.stamp(e)), []byte("k"), &record), keyspace.Place{})
			}
			between()
			if op == wire.Stores {
				if _, ok := m.server.ServeInline(nil, request); ok {
					t.Error("a store between two epochs is answered in place")
				}
			}
			time.AfterFunc(100*time.Millisecond, func() { m.enter(e + 1) })
			began := time.Now()
			if reply := w.serve(wire.Stale, request); reply.Epoch != e+1 {
				t.Errorf("%v: stale, at epoch %d", op, reply.Epoch)
			}
			if took := time.Since(began); took != 100*time.Millisecond {
				t.Errorf("%v was answered after %v", op, took)
			}
		}
		// A request does not wait for ever. It does not wait for an epoch that does not come.
		e := m.present.Load().View.Epoch
		store, digests := requests(w.stamp(e))[wire.Stores].bytes, requests(w.stamp(e))[wire.Digests].bytes
		between()
		began := time.Now()
		w.serve(wire.Overloaded, store)
		w.serve(wire.Stale, digests)
		if took := time.Since(began); took != 2*transitionTime {
			t.Errorf("two requests waited %v", took)
		}
		// It does not wait longer than its sender does.
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
		defer cancel()
		began = time.Now()
		w.reply(wire.Overloaded, m.server.Serve(ctx, nil, store))
		w.reply(wire.Stale, m.server.Serve(ctx, nil, digests))
		if took := time.Since(began); took != 10*time.Millisecond {
			t.Errorf("two requests that are given up waited %v", took)
		}
		// It does not wait for an epoch that cannot come any more.
		time.AfterFunc(10*time.Millisecond, m.Seal)
		began = time.Now()
		w.serve(wire.Stale, digests)
		if took := time.Since(began); took != 10*time.Millisecond {
			t.Errorf("answered %v after the membership has ended", took)
		}
	})
}

// When a node joins the mesh again that it has left, there are two memberships in one cluster. A
// request goes to the incarnation that it names.
func TestARequestFindsItsMembership(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		m := w.nodes[1]
		store, err := storage.New(storage.Config{Seed: seed})
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		m.next = NewMembership(Config{Host: m, Transport: m.cfg.Transport, Logger: m.log})
		again := w.stamp(firstEpoch)
		again.To = 500
		request := func(s wire.Stamp) []byte { return requests(s)[wire.Stores].bytes }
		w.inline(wire.WrongDestination, request(again)) // the next membership belongs to no cluster yet
		v := m.view(firstEpoch)
		v.Members[1].Incarnation, v.Members[1].Pending = 0, 500
		store.Advance(v.Epoch, v.Generation)
		m.next.Enter(m.next.Next(v, store, 500))
		w.inline(wire.OK, request(again))
		if m.store.Stats().Tombstones+m.store.Stats().Keys != 0 || store.Stats().Keys != 1 {
			t.Errorf("the present membership holds %+v, the next one %+v", m.store.Stats(), store.Stats())
		}
		w.inline(wire.OK, request(w.stamp(firstEpoch)))
		if m.store.Stats().Keys != 1 {
			t.Errorf("the present membership holds %+v", m.store.Stats())
		}
		other := w.stamp(firstEpoch)
		other.To = 501
		v.Epoch++
		store.Advance(v.Epoch, v.Generation)
		m.next.Enter(m.next.Next(v, store, 500))
		if reply := w.inline(wire.WrongDestination, request(other)); reply.Epoch != firstEpoch {
			t.Errorf("a request for neither membership is answered at epoch %d", reply.Epoch)
		}
	})
}

// A member holds a list or not, and the answer says which.
func TestListsAreHeld(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		list := func(id uint64) []byte {
			return wire.AppendList(wire.AppendRequest(nil, wire.Purge, w.stamp(firstEpoch)), id, []replica.Tombstone{{Key: []byte("k"), Tag: version.Tag{Counter: 1, Removed: true}}})
		}
		w.serve(wire.OK, list(2))
		w.serve(wire.Nack, list(3))
		if held := w.nodes[1].held; len(held) != 2 || held[0] != 2 || held[1] != 3 {
			t.Errorf("the member was asked about %v", held)
		}
	})
}

// D3: a member's clock is never below a counter that it was sent. The clock of the sender is never
// below a counter in a reply.
func TestClocksFollowCounters(t *testing.T) {
	const high = 1 << 40
	for _, op := range []wire.Op{wire.Stores, wire.Vote} {
		inWorld(t, 3, func(w *world) {
			head := wire.AppendRequest(nil, op, w.stamp(firstEpoch))
			r := version.Record{Tag: version.Tag{Generation: 1, Counter: high, Incarnation: w.nodes[0].incarnation()}, Value: []byte("v")}
			switch op {
			case wire.Stores:
				w.inline(wire.OK, wire.AppendStore(head, 0, []byte("k"), &r))
			case wire.Vote:
				r.Value, r.Tag.Removed = nil, true
				r.Owner = version.Operation{Incarnation: w.nodes[0].incarnation(), Sequence: 1}
				w.inline(wire.OK, wire.AppendStore(head, 0, []byte("k"), &r))
			}
			if now := w.nodes[1].Counter.Now(); now < high {
				t.Errorf("after %v the receiver's clock is at %d", op, now)
			}
			w.set("another", "v")
			if now := w.nodes[0].Counter.Now(); now < high {
				t.Errorf("the sender's clock is at %d", now)
			}
		})
	}
}

// A replica votes for a tombstone of the version that it holds, but not of a version that a newer
// one has replaced.
func TestAVoteMayBeRefused(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		w.nodes[1].put("k", 10, "v")
		vote := func(counter uint64) []byte {
			r := version.Record{
				Tag:   version.Tag{Generation: 1, Counter: counter, Incarnation: 9, Removed: true},
				Owner: version.Operation{Incarnation: w.nodes[0].incarnation(), Sequence: counter},
			}
			return wire.AppendStore(wire.AppendRequest(nil, wire.Vote, w.stamp(firstEpoch)), 0, []byte("k"), &r)
		}
		w.inline(wire.Nack, vote(9))
		if got := w.nodes[1].holds("k"); got != "v" {
			t.Errorf("after a refused vote the replica holds %q", got)
		}
		w.inline(wire.OK, vote(11))
	})
}

// S3, N5: a member at its limit says so in each answer to a read.
func TestAFullMemberSaysSo(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		full := w.nodes[1]
		held := full.put("k", 10, "v")
		head := func(op wire.Op) []byte { return wire.AppendRequest(nil, op, w.stamp(firstEpoch)) }
		reads := func(want wire.Status, have version.Tag) {
			t.Helper()
			reply := w.inline(want, wire.AppendRead(head(wire.Read), &wire.ReadRequest{Key: []byte("k"), Have: have}))
			if r, err := wire.ParseReadReply(nil, reply.Body, want == wire.Same); err != nil || !r.Full {
				t.Errorf("%v: %+v, %v", want, r, err)
			}
		}
		reads(wire.OK, version.Tag{})
		reads(wire.Same, held.Tag)
	}, func(m *member) {
		if m.i == 1 {
			m.maxBytes = 1
		}
	})
}
