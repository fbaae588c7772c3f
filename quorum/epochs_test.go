package quorum

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"viakv/api/kv"
	"viakv/quorum/replica"
	"viakv/quorum/replica/replicatest"
	"viakv/quorum/version"
)

// betweenThePhases runs a change once, when the first replica is sent the record of a write.
func (nd *node) betweenThePhases(change func()) {
	var once sync.Once
	nd.filter = func(c *Call) bool {
		if c.Kind == Store || c.Kind == Vote {
			once.Do(change)
		}
		return false
	}
}

func TestEpochEndsBetweenThePhases(t *testing.T) {
	for _, n := range []int{3, 5} {
		m := newMesh(t, n)
		nd := m.nodes[0]
		nd.betweenThePhases(func() { m.Advance(nil, 0, 1, 2) })
		tag := nd.mustSet("k", "v")
		if got := m.Stores[2].Record("k"); got.Tag != tag && m.Stores[1].Record("k").Tag != tag {
			t.Fatalf("re-sent as %v, acknowledged as %v", got.Tag, tag)
		}
		if nd.Stats().Renewed == 0 {
			t.Fatal("the phase was not run again")
		}
	}
}

func TestClearBetweenThePhasesIsUnknown(t *testing.T) {
	for name, change := range map[string]func(*replica.View){
		"clear": func(v *replica.View) { v.Generation++ },
		"purge": func(v *replica.View) { v.Purge++ },
	} {
		for _, n := range []int{3, 5} {
			t.Run(fmt.Sprint(name, n), func(t *testing.T) {
				m := newMesh(t, n)
				m.nodes[0].betweenThePhases(func() { m.Advance(change, 0, 1, 2) })
				_, err := m.nodes[0].Set(bg, []byte("k"), []byte("v"), kv.Options{})
				wantOutcome(t, err, kv.Unknown)
			})
		}
	}
}

func TestReadAtAnOldEpochIsRepeated(t *testing.T) {
	m := newMesh(t, 3)
	m.nodes[0].mustSet("k", "v")
	m.Advance(nil) // the coordinators do not know of the new epoch yet
	done := make(chan error, 1)
	go func() {
		_, _, err := m.nodes[0].Get(bg, nil, []byte("k"), kv.Options{Deadline: time.Now().Add(5 * time.Second)})
		done <- err
	}()
	eventually(t, "waiting for the next view", func() bool { return m.nodes[0].Stats().Renewed > 0 })
	m.nodes[0].Install(m.View(0, nil))
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// D2: between the phases the replicas go on to an epoch at which tombstones are purged. The write
// goes on if no purged tombstone of its key is above its record: then no tombstone is gone that
// would refuse the record. It does not go on if this node does not know what was purged.
func TestAPurgeBetweenThePhases(t *testing.T) {
	above, below := version.Tag{Counter: 1 << 40, Incarnation: 2}.Tombstone(), version.Tag{Counter: 1, Incarnation: 2}.Tombstone()
	for name, c := range map[string]struct {
		purged func(after uint64, key []byte) (version.Tag, bool)
		want   bool
	}{
		"nothing of the key":      {func(uint64, []byte) (version.Tag, bool) { return version.Tag{}, true }, true},
		"a tombstone below":       {func(uint64, []byte) (version.Tag, bool) { return below, true }, true},
		"a tombstone above":       {func(uint64, []byte) (version.Tag, bool) { return above, true }, false},
		"a purge that is unknown": {func(uint64, []byte) (version.Tag, bool) { return version.Tag{}, false }, false},
	} {
		for _, n := range []int{3, 5} {
			for _, verb := range []string{"set", "remove"} {
				t.Run(fmt.Sprint(name, " ", verb, n), func(t *testing.T) {
					m := newMesh(t, n)
					m.nodes[0].mustSet("k", "older")
					old := m.nodes[0].mustSet("k", "old")
					// Without this wait a read may write the value back first, and the purge would
					// not fall between the phases.
					eventually(t, "all have it", func() bool {
						return !slices.ContainsFunc(m.Stores, func(s *replicatest.Store) bool { return s.Record("k").Tag != old })
					})
					m.nodes[0].betweenThePhases(func() {
						m.Advance(func(v *replica.View) {
							v.Purge++
							v.Purged = func(after uint64, key []byte) (version.Tag, bool) {
								if after != 0 || string(key) != "k" {
									t.Errorf("asked for %q after purge %d", key, after)
								}
								return c.purged(after, key)
							}
						}, 0, 1, 2)
					})
					var err error
					if verb == "set" {
						_, err = m.nodes[0].Set(bg, []byte("k"), []byte("new"), kv.Options{})
					} else {
						err = m.nodes[0].RemoveHere(bg, []byte("k"), kv.Options{})
					}
					if c.want && err != nil {
						t.Error(err)
					} else if !c.want {
						wantOutcome(t, err, kv.Unknown)
					}
				})
			}
		}
	}
}
