package peer

import (
	"testing"

	"viakv/node/wire"
	"viakv/quorum"
	"viakv/quorum/version"
)

// A reply decides the call's status. For a failed call it also decides whether the peer certainly
// has not done, and will not do, what it was asked for.
func TestWhatARepliesStatusMeans(t *testing.T) {
	body := wire.AppendReadReply(nil, &wire.ReadReply{})
	for _, c := range []struct {
		kind    quorum.Kind
		reply   wire.Reply
		want    quorum.Status
		notSent bool
	}{
		{quorum.ReadTag, wire.Reply{Status: wire.OK, Body: body}, quorum.OK, false},
		{quorum.ReadRecord, wire.Reply{Status: wire.Same, Body: wire.AppendFlags(nil, false)}, quorum.Same, false},
		{quorum.Store, wire.Reply{Status: wire.OK}, quorum.OK, false},
		{quorum.Store, wire.Reply{Status: wire.NotActive}, quorum.Failed, true},
		{quorum.Vote, wire.Reply{Status: wire.Nack}, quorum.Nack, false},
		{quorum.StoreIf, wire.Reply{Status: wire.OK, Body: body}, quorum.OK, false},
		{quorum.StoreIf, wire.Reply{Status: wire.Unknown}, quorum.Open, false},
		{quorum.StoreIf, wire.Reply{Status: wire.NotActive}, quorum.Failed, true},
		// A copy of this offer may still be done.
		{quorum.StoreIf, wire.Reply{Status: wire.Overloaded}, quorum.Failed, false},
		{quorum.StoreIf, wire.Reply{Status: wire.WrongDestination}, quorum.Failed, false},
		{quorum.Remove, wire.Reply{Status: wire.OK}, quorum.OK, false},
		{quorum.Remove, wire.Reply{Status: wire.Missing}, quorum.Missing, false},
		{quorum.Remove, wire.Reply{Status: wire.Unknown}, quorum.Open, false},
		{quorum.Remove, wire.Reply{Status: wire.Overloaded}, quorum.Failed, true},
		{quorum.Remove, wire.Reply{Status: wire.NotActive}, quorum.Failed, true},
	} {
		call := &quorum.Call{Kind: c.kind}
		(&carrier{call: call, link: &link{}}).decode(c.reply)
		if call.Status != c.want || call.NotSent != c.notSent {
			t.Errorf("kind %d answered %v: status %d, not sent %v; want %d, %v", c.kind, c.reply.Status, call.Status, call.NotSent, c.want, c.notSent)
		}
		if failed := call.Status == quorum.Failed || call.Status == quorum.Open; failed != (call.Err != nil) {
			t.Errorf("kind %d answered %v: %v", c.kind, c.reply.Status, call.Err)
		}
	}
}

// D3: a member's clock is never below a counter that it was sent. The clock of the sender is never
// below a counter in a reply.
func TestClocksFollowCounters(t *testing.T) {
	const high = 1 << 40
	for _, op := range []wire.Op{wire.Store, wire.StoreIf, wire.Vote} {
		inWorld(t, 3, func(w *world) {
			head := wire.AppendRequest(nil, op, w.stamp(firstEpoch))
			r := version.Record{Tag: version.Tag{Generation: 1, Counter: high, Incarnation: w.nodes[0].incarnation()}, Value: []byte("v")}
			switch op {
			case wire.Store:
				w.inline(wire.OK, wire.AppendStore(head, []byte("k"), &r))
			case wire.StoreIf:
				w.inline(wire.Same, wire.AppendStoreIf(head, version.Tag{}, []byte("k"), &r))
			case wire.Vote:
				r.Value, r.Tag.Removed = nil, true
				r.Owner = version.Operation{Incarnation: w.nodes[0].incarnation(), Sequence: 1}
				w.inline(wire.OK, wire.AppendStore(head, []byte("k"), &r))
			}
			if now := w.nodes[1].Clock.Now(); now < high {
				t.Errorf("after %v the receiver's clock is at %d", op, now)
			}
			w.set("another", "v")
			if now := w.nodes[0].Clock.Now(); now < high {
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
			return wire.AppendStore(wire.AppendRequest(nil, wire.Vote, w.stamp(firstEpoch)), []byte("k"), &r)
		}
		w.inline(wire.Nack, vote(9))
		if got := w.nodes[1].holds("k"); got != "v" {
			t.Errorf("after a refused vote the replica holds %q", got)
		}
		w.inline(wire.OK, vote(11))
	})
}

// S3, N5: a member at its limit says so in each answer to a read, and takes no offer.
func TestAFullMemberSaysSo(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		full := w.nodes[1]
		held := full.put("k", 10, "v")
		head := func(op wire.Op) []byte { return wire.AppendRequest(nil, op, w.stamp(firstEpoch)) }
		reads := func(want wire.Status, have version.Tag) {
			t.Helper()
			reply := w.inline(want, wire.AppendRead(head(wire.Read), &wire.ReadRequest{Key: []byte("k"), Have: have}))
			if r, err := wire.ParseReadReply(reply.Body, want == wire.Same); err != nil || !r.Full {
				t.Errorf("%v: %+v, %v", want, r, err)
			}
		}
		reads(wire.OK, version.Tag{})
		reads(wire.Same, held.Tag)
		offered := version.Record{Tag: version.Tag{Generation: 1, Counter: 11, Incarnation: w.nodes[0].incarnation()}, Value: []byte("new")}
		reply := w.inline(wire.OK, wire.AppendStoreIf(head(wire.StoreIf), held.Tag, []byte("k"), &offered))
		if r, err := wire.ParseReadReply(reply.Body, false); err != nil || !r.Full || full.holds("k") != "v" {
			t.Errorf("%+v, %v, and the full member holds %q", r, err, full.holds("k"))
		}
	}, func(m *member) {
		if m.i == 1 {
			m.maxBytes = 1
		}
	})
}
