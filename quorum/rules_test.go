package quorum

import (
	"errors"
	"testing"
	"testing/synctest"

	"viakv/api/kv"
	"viakv/quorum/replica"
	"viakv/quorum/version"
)

// Random faults show the loss of some rules too seldom. Each test here makes the one schedule in
// which the loss does harm. The mutation gate (node/simulation) also runs them with the rule
// switched off, and then they must fail. In a bubble, nothing happens between two steps of a
// schedule.

// holdVotes holds a node's calls for votes, and returns them.
func (nd *node) holdVotes() *[]*Call {
	var held []*Call
	nd.filter = func(c *Call) bool {
		if c.Kind != Vote {
			return false
		}
		nd.swallow(c)
		held = append(held, c)
		return true
	}
	return &held
}

// release lets a held call go on, with the stamp that it was sent with, unless the call was
// withdrawn meanwhile.
func (nd *node) release(v *replica.View, c *Call) {
	if nd.Cancel(c) {
		nd.deliver(v, c)
	}
}

// D2: between the phases of a remove, another remove removes the value. All three replicas hold the
// tombstone, and it is purged. Nothing is left that could refuse a vote for the version that the
// first remove has read.
func TestARemoveDoesNotGoOnPastAPurge(t *testing.T) {
	inMesh(t, 3, func(t *testing.T, m *mesh) {
		late, other := m.nodes[0], m.nodes[1]
		late.mustSet("k", "v")
		synctest.Wait()
		purged := false
		late.filter = func(c *Call) bool {
			if c.Kind != ReadTag || purged {
				return false
			}
			purged = true
			read := *m.Stores[c.Member].Record("k")
			if err := other.RemoveHere(bg, []byte("k"), kv.Options{}); err != nil {
				t.Errorf("the other remove: %v", err)
			}
			synctest.Wait()
			for i, r := range m.Stores {
				if !r.Record("k").Tag.Removed {
					t.Errorf("replica %d does not hold the tombstone", i)
				}
				r.Hold("k", version.Record{})
			}
			m.Advance(func(v *replica.View) { v.Purge++ }, 0, 1, 2)
			c.Status, c.Reply = OK, read // what the replica said before all this
			c.End()
			return true
		}
		switch err := late.RemoveHere(bg, []byte("k"), kv.Options{}); {
		case err == nil:
			t.Error("one value was removed twice")
		case !errors.Is(err, kv.ErrMissing):
			t.Errorf("%v, want missing", err)
		}
		if !purged {
			t.Error("the test's schedule did not come about")
		}
	})
}

// D8: a coordinator that reaches no peer with its record leaves hints for all of them, and then
// crashes together with the hints. If hints counted as acknowledgements, one crash would lose an
// acknowledged write.
func TestAHintIsNoAcknowledgement(t *testing.T) {
	inMesh(t, 3, func(t *testing.T, m *mesh) {
		m.nodes[0].filter = func(c *Call) bool { return c.Kind == Store && fail(c) }
		_, err := m.nodes[0].Set(bg, []byte("k"), []byte("v"), kv.Options{})
		synctest.Wait()
		if len(m.misses) != 2 {
			t.Errorf("hints %v, want two", m.misses)
		}
		if err != nil {
			wantOutcome(t, err, kv.Unknown)
			return
		}
		// Node a is gone. Nodes b and c are a majority.
		if got, _, err := m.nodes[1].Get(bg, nil, []byte("k"), kv.Options{}); err != nil || string(got) != "v" {
			t.Errorf("an acknowledged write was lost with its coordinator: %q, %v", got, err)
		}
	})
}

// Removes X at a and Y at b overlap. X has the votes of a and c and is answered. Y has the vote of
// b. Then c loses its memory and rebuilds from the copies of b and a. If c took b's copy as it is,
// Y would find two votes at the next epoch, too: those of b and c.
func TestARebuiltReplicaVotesForNobody(t *testing.T) {
	inMesh(t, 3, func(t *testing.T, m *mesh) {
		a, b := m.nodes[0], m.nodes[1]
		a.mustSet("k", "v")
		synctest.Wait()

		before := a.Current()
		x, y := make(chan error, 1), make(chan error, 1)
		votesOfX, votesOfY := a.holdVotes(), b.holdVotes()
		go func() { x <- a.RemoveHere(bg, []byte("k"), kv.Options{}) }()
		synctest.Wait()
		go func() { y <- b.RemoveHere(bg, []byte("k"), kv.Options{}) }()
		synctest.Wait()
		if len(*votesOfX) != 2 || len(*votesOfY) != 2 {
			t.Fatalf("%d and %d votes are asked for, want two each", len(*votesOfX), len(*votesOfY))
		}
		for _, c := range *votesOfX {
			if c.Member == 2 {
				a.release(before, c)
			}
		}
		if err := <-x; err != nil {
			t.Fatalf("X: %v", err)
		}

		before = b.Current()
		copies := []version.Record{*m.Stores[1].Record("k"), *m.Stores[0].Record("k")}
		m.Stores[2].Advance(m.Epoch, func(version.Record) bool { return false })
		m.Advance(func(v *replica.View) { v.Members[2].Incarnation = 4 }, 0, 1, 2)
		for _, r := range copies {
			if _, err := m.Stores[2].Put(m.Epoch, 0, []byte("k"), &r); err != nil {
				t.Fatal(err)
			}
		}

		b.filter = nil
		// The vote comes too late for its epoch. Y learns of the next epoch, and asks for votes
		// there.
		b.release(before, (*votesOfY)[0])
		err := <-y
		if err == nil {
			t.Fatal("both removes of one value have succeeded")
		}
		wantOutcome(t, err, kv.Unknown)
	})
}
