package node

import (
	"testing"
	"testing/synctest"
	"time"
)

// A suspect is asked again after a while, but is trusted with a remove only once it has answered.
func TestASuspectMustAnswerFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &link{address: "b"}
		if !k.likely() || !k.answers() {
			t.Fatal("a peer nobody has complained of is suspected")
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
			t.Error("its answer does not clear it")
		}
	})
}
