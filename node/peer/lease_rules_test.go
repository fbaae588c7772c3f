package peer

import (
	"context"
	"errors"
	"testing"
	"time"

	"viakv/api/kv"
	"viakv/node/wire"
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
