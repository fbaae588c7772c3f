package quorum

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"viakv/api/kv"
	"viakv/quorum/version"
)

func TestOfOverlappingRemovesOneWins(t *testing.T) {
	for round := range 50 {
		m := newMesh(t, 3)
		m.nodes[0].mustSet("k", "v")
		var wg sync.WaitGroup
		var won, missing, open atomic.Int32
		for i := range 6 {
			wg.Add(1)
			go func() {
				defer wg.Done()
				// Half of the removes do not go through the owner, as when it cannot be reached.
				remove := m.nodes[i%3].Remove
				if i >= 3 {
					remove = m.nodes[i%3].RemoveHere
				}
				switch err := remove(bg, []byte("k"), kv.Options{}); {
				case err == nil:
					won.Add(1)
				case errors.Is(err, kv.ErrMissing):
					missing.Add(1)
				default:
					open.Add(1)
				}
			}()
		}
		wg.Wait()
		if won.Load() > 1 || won.Load() == 0 && open.Load() == 0 {
			t.Fatalf("round %d: %d removes of one value won, %d found it missing, %d open", round, won.Load(), missing.Load(), open.Load())
		}
	}
}

func TestRemoveRereadsWhenOvertaken(t *testing.T) {
	m := newMesh(t, 3)
	nd := m.nodes[0]
	nd.mustSet("k", "v")
	var once sync.Once
	nd.filter = func(c *Call) bool {
		if c.Kind == ReadTag { // between read and vote, a set overtakes at this node's replica
			once.Do(func() {
				for _, r := range m.Stores {
					r.Hold("k", version.Record{Tag: version.Tag{Counter: 99, Incarnation: 2}, Value: []byte("w")})
				}
			})
		}
		return false
	}
	// The own copy was read before the filter ran, so the first vote is for a version that is gone.
	if err := nd.RemoveHere(bg, []byte("k"), kv.Options{}); err != nil {
		t.Fatal(err)
	}
	if got := m.Stores[0].Record("k"); got.Tag.Counter != 99 || !got.Tag.Removed {
		t.Fatalf("removed %v", got.Tag)
	}
}

// The epoch ends before this node's own replica has voted, and a set overtakes. No other replica
// was asked for a vote, so the remove reads again at the next epoch.
func TestRemoveRereadsWhenOvertakenAtTheNextEpoch(t *testing.T) {
	inMesh(t, 3, func(t *testing.T, m *mesh) {
		nd := m.nodes[0]
		nd.mustSet("k", "v")
		synctest.Wait()
		moved := false
		nd.filter = func(c *Call) bool {
			if c.Kind != ReadTag || moved {
				return false
			}
			moved = true
			m.Advance(nil) // this node learns of the new epoch only when it waits for it
			for _, r := range m.Stores {
				r.Hold("k", version.Record{Tag: version.Tag{Counter: 99, Incarnation: 2}, Value: []byte("w")})
			}
			time.AfterFunc(time.Millisecond, func() { nd.Install(m.View(0, nil)) })
			c.Status = Same // at the epoch that has just ended
			c.End()
			return true
		}
		if err := nd.RemoveHere(bg, []byte("k"), kv.Options{}); err != nil {
			t.Fatal(err)
		}
		if got := m.Stores[0].Record("k"); !moved || got.Tag.Counter != 99 || !got.Tag.Removed {
			t.Errorf("removed %v", got.Tag)
		}
	})
}

// In an earlier round of the vote other replicas may have voted. So in a later round this node's
// own replica may refuse, and its refusal is no vote.
func TestAnOwnRefusalIsNoVote(t *testing.T) {
	m := newMesh(t, 3)
	nd := m.nodes[0]
	tag := nd.mustSet("k", "v")
	eventually(t, "all have it", func() bool { return m.Stores[1].Record("k").Live() && m.Stores[2].Record("k").Live() })
	theirs := *m.Stores[0].Record("k")
	theirs.Tag, theirs.Value, theirs.Owner = tag.Tombstone(), nil, version.Operation{Incarnation: 2, Sequence: 1 << 40}
	var once sync.Once
	made := false
	nd.filter = func(c *Call) bool {
		if c.Kind == Vote {
			once.Do(func() {
				made = true
				m.Advance(nil, 0, 1, 2)
				m.Stores[0].Hold("k", theirs)
				m.Stores[1].Hold("k", theirs)
			})
		}
		return false
	}
	wantOutcome(t, nd.RemoveHere(bg, []byte("k"), kv.Options{}), kv.Unknown)
	if !made {
		t.Error("the test's schedule did not come about")
	}
}

// Overlapping removes can split the votes, in a mesh where every replica answers. The outcome is
// unknown, but no member is at fault, so the remove is counted apart. The node that the client
// asked counts it, whether it forwarded the remove or not. A remove that too few replicas answered
// counts as one whose outcome is unknown.
func TestAContendedRemoveIsCountedApart(t *testing.T) {
	for _, c := range []struct {
		name            string
		forwarded       bool
		refuse, silence int
		contended       bool
	}{
		{"all answer", false, 2, 0, true},
		{"all answer the owner", true, 2, 0, true},
		{"one refuses and one does not answer", false, 1, 1, true},
		{"none answers", false, 0, 2, false},
		{"none answers the owner", true, 0, 2, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			other, owner, key := owned(t)
			m := other.m
			at := m.nodes[owner] // coordinates the remove
			asked := at
			if c.forwarded {
				asked = other
			}
			eventually(t, "all have it", func() bool {
				return m.Stores[0].Record("k").Live() && m.Stores[1].Record("k").Live() && m.Stores[2].Record("k").Live()
			})
			theirs := *m.Stores[0].Record("k")
			theirs.Tag, theirs.Value = theirs.Tag.Tombstone(), nil
			theirs.Owner = version.Operation{Incarnation: 2, Sequence: 1 << 40}
			votes := 0
			at.filter = func(call *Call) bool {
				if call.Kind != Vote {
					return false
				}
				votes++
				if votes <= c.refuse {
					m.Stores[call.Member].Hold("k", theirs)
					return false
				}
				return votes <= c.refuse+c.silence && fail(call)
			}
			err := asked.Remove(bg, key, kv.Options{})
			wantOutcome(t, err, kv.Unknown)
			want := Stats{Unknown: 1}
			if c.contended {
				want = Stats{Contended: 1}
			}
			if errors.Is(err, kv.ErrContended) != c.contended {
				t.Errorf("got %v", err)
			}
			for i, nd := range m.nodes {
				s, wanted := nd.Stats(), Stats{}
				if nd == asked {
					wanted = want
				}
				if s.Unknown != wanted.Unknown || s.Contended != wanted.Contended || s.Unavailable != 0 {
					t.Errorf("node %d counts %d unknown, %d contended, %d unavailable", i, s.Unknown, s.Contended, s.Unavailable)
				}
			}
		})
	}
}

// A remove needs the votes of a majority, whatever its w is. Otherwise two removes could win.
func TestAMajorityVotesWhateverTheW(t *testing.T) {
	m := newMesh(t, 3)
	m.nodes[0].mustSet("k", "v")
	m.nodes[0].filter = func(c *Call) bool { return c.Kind == Vote && fail(c) }
	wantOutcome(t, m.nodes[0].RemoveHere(bg, []byte("k"), kv.Options{W: 1}), kv.Unknown)
}

func TestRemoveGoesToTheOwner(t *testing.T) {
	from, owner, key := owned(t)
	m := from.m
	if err := from.Remove(bg, key, kv.Options{}); err != nil {
		t.Fatal(err)
	}
	if from.Stats().Forwarded != 1 || m.nodes[owner].Stats().Removes != 1 {
		t.Fatalf("forwarded %d, owner ran %d", from.Stats().Forwarded, m.nodes[owner].Stats().Removes)
	}
	// An owner that certainly did nothing is replaced by this node. An owner that may have done
	// something is not.
	m.nodes[0].mustSet("k", "v")
	from.filter = func(c *Call) bool { return c.Kind == Remove && unsent(c) }
	if err := from.Remove(bg, key, kv.Options{}); err != nil {
		t.Fatal(err)
	}
	m.nodes[0].mustSet("k", "v")
	from.filter = func(c *Call) bool { return c.Kind == Remove && fail(c) }
	wantOutcome(t, from.Remove(bg, key, kv.Options{}), kv.Unknown)
}
