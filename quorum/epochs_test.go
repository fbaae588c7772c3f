package quorum

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"viakv/api/kv"
)

// Of three, the second phase is what is left of a write that one peer has taken.
func TestEpochEndsBetweenThePhases(t *testing.T) {
	for _, n := range []int{3, 5} {
		m := newMesh(t, n)
		nd := m.nodes[0]
		var once sync.Once
		nd.filter = func(c *Call) bool {
			if c.Kind == Store {
				once.Do(func() { m.advance(nil, 0, 1, 2) }) // the write phase meets replicas of a newer epoch
			}
			return false
		}
		tag := nd.mustSet("k", "v")
		if got := m.replicas[2].get("k"); got.Tag != tag && m.replicas[1].get("k").Tag != tag {
			t.Fatalf("re-sent as %v, acknowledged as %v", got.Tag, tag)
		}
		if nd.Stats().Renewed == 0 {
			t.Fatal("the phase was not run again")
		}
	}
}

func TestClearBetweenThePhasesIsUnknown(t *testing.T) {
	for name, change := range map[string]func(*View){
		"clear": func(v *View) { v.Generation++ },
		"purge": func(v *View) { v.Purge++ },
	} {
		for _, n := range []int{3, 5} {
			t.Run(fmt.Sprint(name, n), func(t *testing.T) {
				m := newMesh(t, n)
				var once sync.Once
				m.nodes[0].filter = func(c *Call) bool {
					if c.Kind == Store {
						once.Do(func() { m.advance(change, 0, 1, 2) })
					}
					return false
				}
				_, err := m.nodes[0].Set(bg, []byte("k"), []byte("v"), kv.Options{})
				wantOutcome(t, err, kv.Unknown)
			})
		}
	}
}

func TestReadAtAnOldEpochIsRepeated(t *testing.T) {
	m := newMesh(t, 3)
	m.nodes[0].mustSet("k", "v")
	m.advance(nil) // nobody has told the coordinators yet
	done := make(chan error, 1)
	go func() {
		_, _, err := m.nodes[0].Get(bg, nil, []byte("k"), kv.Options{Deadline: time.Now().Add(5 * time.Second)})
		done <- err
	}()
	eventually(t, "waiting for the next view", func() bool { return m.nodes[0].Stats().Renewed > 0 })
	m.nodes[0].install(m.newView(0, nil))
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}
