package peer

import (
	"testing"
	"time"

	"viakv/api/health"
	"viakv/node/wire"
)

// While a member is away, attempts to connect end now with a refusal and now with the end of their
// time. That is one trouble, and is told once.
func TestATroubleIsToldOnce(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		e := w.nodes[0].present.Load()
		to := e.View.Members[1].Holder()
		misses := func(reach health.Reach) {
			e.missed(1, to, reach)
			time.Sleep(failuresCount)
			e.missed(1, to, reach)
		}
		wants := func(want health.Reach) {
			t.Helper()
			if got := e.Reach(1); got != want {
				t.Errorf("the member is shown as %q, want %q", got, want)
			}
		}
		e.Beat(w.soon())
		wants(health.Answers)
		misses(health.Silent) // the connection is still there
		wants(health.Silent)
		misses(health.NoConnection)
		wants(health.NoConnection)
		misses(health.Silent)
		wants(health.NoConnection)
		e.Beat(w.soon())
		wants(health.Answers)
		misses(health.Silent)
		wants(health.Silent)
	})
}

// A process that was restarted has lost its memory. When it cannot be reached later, or ends, that
// is still so: it cannot bring back what its former process held.
func TestARestartedMemberStaysLost(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		m := w.nodes[0]
		e := m.present.Load()
		e.Beat(w.soon())
		m.who = health.Restarted
		w.answers(w.nodes[1].address(), func([]byte) []byte { return wire.AppendReply(nil, wire.WrongDestination, 1, 0, firstEpoch) })
		e.Beat(w.soon())
		if got := e.Reach(1); got != health.Restarted {
			t.Fatalf("the member is shown as %q", got)
		}
		w.net.Kill(w.nodes[1].address())
		e.Beat(w.soon())
		time.Sleep(failuresCount)
		e.Beat(w.soon())
		if got := e.Reach(1); got != health.Restarted {
			t.Errorf("the member whose memory is lost is shown as %q", got)
		}
	})
}
