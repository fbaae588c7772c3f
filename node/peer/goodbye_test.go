package peer

import (
	"testing"
	"time"

	"viakv/node/wire"
	"viakv/quorum/version"
)

// A member that is about to stop may tell so while another one is an epoch ahead of it or behind.
// It is heard in place.
func TestAGoodbyeHoldsAtEveryEpoch(t *testing.T) {
	for _, epoch := range []version.Epoch{firstEpoch - 1, firstEpoch, firstEpoch + 1} {
		inWorld(t, 3, func(w *world) {
			bye, m := wire.AppendRequest(nil, wire.Bye, w.stamp(epoch)), w.nodes[1]
			w.inline(wire.Malformed, append(bye, 1))
			if v := m.Current(); !m.client.Likely(v, 0) || !m.client.Answers(v, 0) {
				t.Error("a member that has said nothing is not counted on")
			}
			w.inline(wire.OK, bye)
			if v := m.Current(); m.client.Likely(v, 0) || m.client.Answers(v, 0) || !m.client.Likely(v, 2) {
				t.Errorf("of epoch %d at %d: it is still counted on, or another one is not", epoch, firstEpoch)
			}
		})
	}
}

// SayBye tells all the others, and does not wait for one that cannot be reached.
func TestAllMembersAreToldGoodbye(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		m := w.nodes[0]
		w.net.Kill(w.nodes[2].address())
		m.Present().SayGoodbye(w.soon())
		w.net.Pause(w.nodes[2].address())
		began := time.Now()
		if m.Present().SayGoodbye(w.soon()); time.Since(began) != goodbyeTime {
			t.Errorf("one that is silent was waited for, for %v", time.Since(began))
		}
		v := w.nodes[1].Current()
		if w.nodes[1].client.Likely(v, 0) {
			t.Error("a member has not heard it")
		}
		// Another boot of it is another incarnation, which has said nothing.
		v.Members[0].Incarnation++
		if !w.nodes[1].client.Likely(v, 0) {
			t.Error("what one incarnation has said counts for another")
		}
	})
}
