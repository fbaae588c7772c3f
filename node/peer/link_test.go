package peer

import (
	"testing"
	"testing/synctest"
	"time"

	"viakv/quorum"
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

// Suppose that a remove found its peer behind and then could not be sent again. The remove has not
// been done, but a copy of it may still be done. So the sender must not do it itself.
func TestACallThatWasSeenMayBeDoneYet(t *testing.T) {
	for kind, single := range map[quorum.Kind]bool{
		quorum.ReadTag: false, quorum.ReadRecord: false, quorum.Store: false, quorum.Vote: false, quorum.Remove: true, quorum.StoreIf: true,
	} {
		for _, seen := range []bool{false, true} {
			c := carrier{call: &quorum.Call{Kind: kind}, seen: seen}
			if got, want := c.neverDone(), !seen || !single; got != want {
				t.Errorf("kind %d, seen by the peer: %v; undone for good: %v, want %v", kind, seen, got, want)
			}
		}
	}
}
