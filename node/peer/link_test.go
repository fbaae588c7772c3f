package peer

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"viakv/api/kv"
	"viakv/node/wire"
	"viakv/quorum"
	"viakv/quorum/version"
)

// A suspect is asked again after a while, but is trusted with a remove only once it has answered.
func TestASuspectMustAnswerFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &link{address: "b"}
		if !k.likely() || !k.answers() {
			t.Fatal("a peer is suspected from the beginning")
		}
		k.suspect(time.Now())
		if k.likely() || k.answers() {
			t.Error("a suspect is trusted")
		}
		time.Sleep(2 * suspicion)
		if !k.likely() || k.answers() {
			t.Errorf("after a while: likely %v, answers %v", k.likely(), k.answers())
		}
		k.trust()
		if !k.answers() {
			t.Error("an answer does not end the suspicion")
		}
	})
}

// A peer is not trusted for an answer that says that another process has its address, whatever it
// was asked.
func TestAPeerThatIsAnotherProcessIsSuspected(t *testing.T) {
	for _, refused := range []wire.Op{wire.Read, wire.Stores} {
		for _, status := range []wire.Status{wire.WrongCluster, wire.WrongDestination, wire.NotActive} {
			inWorld(t, 3, func(w *world) {
				a, b := w.nodes[0], w.nodes[1]
				w.answers(b.address(), func(request []byte) []byte {
					if wire.Op(request[0]) == refused {
						return wire.AppendReply(nil, status, 0, 0, firstEpoch)
					}
					reply, _ := b.server.ServeInline(nil, request)
					return reply
				})
				var err error
				if refused == wire.Stores {
					_, err = a.coordinator.Set(w.soon(), []byte("k"), []byte("v"), kv.Options{})
				} else if _, err = a.coordinator.Has(w.soon(), []byte("k"), kv.Options{}); errors.Is(err, kv.ErrMissing) {
					err = nil
				}
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(20 * time.Millisecond) // for an answer that the request did not need
				if got, want := a.client.Likely(a.Current(), 1), status == wire.NotActive; got != want {
					t.Errorf("a peer that refuses requests of kind %v, %v: likely %v", refused, status, got)
				}
			})
		}
	}
}

// Suppose that a remove found its peer behind and then could not be sent again. The remove has not
// been done, but a copy of it may still be done. So the sender must not do it itself.
func TestACallThatWasSeenMayBeDoneYet(t *testing.T) {
	for kind, single := range map[quorum.Kind]bool{
		quorum.ReadTag: false, quorum.ReadRecord: false, quorum.Store: false, quorum.Vote: false, quorum.Remove: true,
	} {
		for _, seen := range []bool{false, true} {
			c := carrier{call: &quorum.Call{Kind: kind}, seen: seen}
			if got, want := c.neverDone(), !seen || !single; got != want {
				t.Errorf("kind %d, seen by the peer: %v; undone for good: %v, want %v", kind, seen, got, want)
			}
		}
	}
}

// A member may say goodbye while another member is an epoch ahead of it, or behind. The goodbye is
// answered in place.
func TestAGoodbyeHoldsAtEveryEpoch(t *testing.T) {
	for _, epoch := range []version.Epoch{firstEpoch - 1, firstEpoch, firstEpoch + 1} {
		inWorld(t, 3, func(w *world) {
			goodbye, m := wire.AppendRequest(nil, wire.Goodbye, w.stamp(epoch)), w.nodes[1]
			w.inline(wire.Malformed, append(goodbye, 1))
			if v := m.Current(); !m.client.Likely(v, 0) || !m.client.Answers(v, 0) {
				t.Error("a member that has said nothing is not counted on")
			}
			w.inline(wire.OK, goodbye)
			if v := m.Current(); m.client.Likely(v, 0) || m.client.Answers(v, 0) || !m.client.Likely(v, 2) {
				t.Errorf("goodbye of epoch %d at epoch %d: its sender is still counted on, or another member is not", epoch, firstEpoch)
			}
		})
	}
}

// SayGoodbye tells all other members, and waits for a member that cannot be reached for goodbyeTime
// only.
func TestAllMembersAreToldGoodbye(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		m := w.nodes[0]
		w.net.Kill(w.nodes[2].address())
		m.present.Load().SayGoodbye(w.soon())
		w.net.Pause(w.nodes[2].address())
		began := time.Now()
		if m.present.Load().SayGoodbye(w.soon()); time.Since(began) != goodbyeTime {
			t.Errorf("SayGoodbye waited %v for a silent member", time.Since(began))
		}
		v := w.nodes[1].Current()
		if w.nodes[1].client.Likely(v, 0) {
			t.Error("a member has not heard the goodbye")
		}
		// Another boot of the node is another incarnation, which has not said goodbye.
		v.Members[0].Incarnation++
		if !w.nodes[1].client.Likely(v, 0) {
			t.Error("the goodbye of one incarnation counts for another")
		}
	})
}
