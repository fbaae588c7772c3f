package quorum

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"

	"viakv/api/kv"
	"viakv/quorum/replica"
	"viakv/quorum/version"
)

// holders counts the replicas that hold a version of a key or a newer one.
func (m *mesh) holders(key string, tag version.Tag) int {
	n := 0
	for _, r := range m.Stores {
		if !r.Record(key).Tag.Less(tag) {
			n++
		}
	}
	return n
}

// D4: whatever quorums a read asks for, W replicas hold what it answers, unless its r and w do not
// overlap. Fewer replicas would be enough for a later read of the same r. But a read of another r
// would miss the answer, and a crash, a join or a leave could lose it.
func TestAReadAnswersOnlyWhatWHold(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for n := 2; n <= 6; n++ {
		for _, r := range []kv.Quorum{kv.QuorumDefault, kv.QuorumMajority, kv.QuorumAll, kv.Quorum(n)} {
			for _, w := range []kv.Quorum{kv.QuorumDefault, 1, kv.QuorumAll} {
				for range 12 {
					held := version.Record{Tag: version.Tag{Counter: 7, Incarnation: 1}, Value: []byte("v")}
					removed := held
					removed.Tag, removed.Value, removed.Owner = held.Tag.Tombstone(), nil, version.Operation{Incarnation: 1, Sequence: 1}
					m := newMesh(t, n)
					for i, replica := range m.Stores {
						switch random.IntN(3) {
						case 0:
							replica.Hold("live", held)
							replica.Hold("gone", removed)
						default:
							if i%2 == 0 {
								replica.Hold("gone", held)
							}
						}
					}
					nd, o := m.nodes[random.IntN(n)], kv.Options{R: r, W: w}
					what := fmt.Sprintf("n=%d r=%v w=%v", n, r, w)
					check := func(verb, key string, tag version.Tag) {
						if got := m.holders(key, tag); got < n/2+1 {
							t.Errorf("%s: %s of %s answered %v, which %d replicas hold", what, verb, key, tag, got)
						}
					}
					if _, tag, err := nd.Get(bg, nil, []byte("live"), o); err == nil {
						check("get", "live", tag)
					}
					if _, err := nd.Has(bg, []byte("gone"), o); errors.Is(err, kv.ErrMissing) {
						check("is", "gone", m.newest("gone"))
					}
				}
			}
		}
	}
}

// newest returns the highest tag that a replica holds for a key.
func (m *mesh) newest(key string) (tag version.Tag) {
	for _, r := range m.Stores {
		if t := r.Record(key).Tag; tag.Less(t) {
			tag = t
		}
	}
	return tag
}

// A remove that finds nothing answers so only when W replicas hold what it found, whatever its r
// is.
func TestARemoveMissesOnlyWhatWDoNotHold(t *testing.T) {
	for _, r := range []kv.Quorum{kv.QuorumDefault, 1, kv.QuorumAll} {
		for holder := range 3 {
			m := newMesh(t, 3)
			value := version.Record{Tag: version.Tag{Counter: 7, Incarnation: 2}, Value: []byte("v")}
			removed := version.Record{Tag: value.Tag.Tombstone(), Owner: version.Operation{Incarnation: 2, Sequence: 1}}
			for _, replica := range m.Stores {
				replica.Hold("k", value)
			}
			m.Stores[holder].Hold("k", removed)
			if err := m.nodes[0].RemoveHere(bg, []byte("k"), kv.Options{R: r}); err != nil && !errors.Is(err, kv.ErrMissing) {
				t.Fatal(err)
			}
			if _, _, err := m.nodes[(holder+1)%3].Get(bg, nil, []byte("k"), kv.Options{}); !errors.Is(err, kv.ErrMissing) {
				t.Errorf("r=%v, node %d: a remove found the key missing or removed it, and a later get finds it: %v", r, holder, err)
			}
		}
	}
}

// D4: what W replicas hold must be below the tag of every later write, whatever the write's r is.
func TestAWriteAsksMoreThanItsR(t *testing.T) {
	for n := 2; n <= 6; n++ {
		for _, o := range []kv.Options{{R: 1}, {R: 1, W: kv.QuorumAll}} {
			m := newMesh(t, n)
			// These are W replicas. The coordinator's own is among them only for n = 2.
			for i := n - (n/2 + 1); i < n; i++ {
				m.Stores[i].Hold("k", version.Record{Tag: version.Tag{Counter: 100, Incarnation: version.Incarnation(n)}, Value: []byte("old")})
			}
			if _, err := m.nodes[0].Set(bg, []byte("k"), []byte("new"), o); err != nil {
				t.Fatal(err)
			}
			m.nodes[0].wantValue("k", "new")
			m.nodes[n-1].wantValue("k", "new")
		}
	}
}

// A write that cannot reach enough replicas ends before anything is sent. Its outcome is none. The
// slot is vacant, or its member does not answer.
func TestAWriteThatCannotBeMetStoresNothing(t *testing.T) {
	absences := map[string]func(m *mesh){
		"vacant": func(m *mesh) { m.Advance(func(v *replica.View) { v.Members[2].Incarnation = 0 }, 0, 1, 2) },
		"dead":   func(m *mesh) { m.nodes[0].filter = func(c *Call) bool { return c.Member == 2 && unsent(c) } },
		"silent": func(m *mesh) { m.nodes[0].silence(2) },
	}
	for name, absent := range absences {
		t.Run(name, func(t *testing.T) {
			inMesh(t, 3, func(t *testing.T, m *mesh) {
				m.nodes[0].mustSet("k", "old")
				synctest.Wait()
				absent(m)
				_, err := m.nodes[0].Set(bg, []byte("k"), []byte("new"), kv.Options{W: kv.QuorumAll})
				wantOutcome(t, err, kv.None)
				wantOutcome(t, m.nodes[0].RemoveHere(bg, []byte("k"), kv.Options{W: kv.QuorumAll}), kv.None)
				synctest.Wait()
				for i, r := range m.Stores {
					if got := string(r.Record("k").Value); got != "old" {
						t.Errorf("replica %d holds %q", i, got)
					}
				}
			})
		})
	}
}
