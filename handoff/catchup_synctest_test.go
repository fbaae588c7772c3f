package handoff

import (
	"context"
	"errors"
	"testing"

	"viakv/quorum/replica"
	"viakv/quorum/version"
	"viakv/ring/keyspace"
)

// latePeers are peers of a node that let a test do something once, after a member has answered with
// records and before the node has them.
type latePeers struct {
	Peers
	after func()
}

func (l *latePeers) late(err error) error {
	if f := l.after; f != nil && err == nil {
		l.after = nil
		f()
	}
	return err
}

func (l *latePeers) Fetch(ctx context.Context, v *replica.View, to *replica.Member, ranks []keyspace.Rank, after []byte, p *replica.Page) error {
	return l.late(l.Peers.Fetch(ctx, v, to, ranks, after, p))
}

func (l *latePeers) Copy(ctx context.Context, v *replica.View, to *replica.Member, r keyspace.Range, after []byte, max int, p *replica.Page) error {
	return l.late(l.Peers.Copy(ctx, v, to, r, after, max, p))
}

// L2: a node catches up with a member: it merges all that the member holds, and gives it nothing.
func TestCatchingUpMergesAndGivesNothing(t *testing.T) {
	inMesh(t, 2, nil, func(t *testing.T, m *fakeMesh) {
		m.fill(100)
		a, b := m.nodes[0], m.nodes[1]
		a.store.Merge("mine", value(5, "mine"))
		b.store.Merge("theirs", value(5, "theirs"))
		b.store.Merge("both", value(6, "newer"))
		a.store.Merge("both", value(5, "older"))
		v := a.Current()
		if err := a.driver.CatchUp(t.Context(), v, &v.Members[1]); err != nil {
			t.Fatal(err)
		}
		for key, want := range map[string]string{"mine": "mine", "theirs": "theirs", "both": "newer"} {
			if got := a.store.Record(key); string(got.Value) != want {
				t.Errorf("%s: %q, want %q", key, got.Value, want)
			}
		}
		if b.store.Record("mine").Live() {
			t.Error("the member was given something")
		}
	})
}

// L2, H1: a copy that comes after the node's epoch has moved is dropped. What it holds may have
// been purged since.
func TestACopyThatComesTooLateIsDropped(t *testing.T) {
	late := new(latePeers)
	first := func(c *Config) {
		if late.Peers == nil {
			late.Peers, c.Peers = c.Peers, late
		}
	}
	inMesh(t, 2, first, func(t *testing.T, m *fakeMesh) {
		a, b := m.nodes[0], m.nodes[1]
		b.store.Merge("k", value(5, "old"))
		late.after = func() {
			b.store.Hold("k", version.Record{})
			m.step()
		}
		v := a.Current()
		err := a.driver.CatchUp(t.Context(), v, &v.Members[1])
		if !errors.Is(err, replica.ErrEpoch) || late.after != nil {
			t.Errorf("%v, want that the epoch is over", err)
		}
		if got := a.store.Record("k"); got.Live() {
			t.Errorf("%q came back from before the purge", got.Value)
		}
	})
}
