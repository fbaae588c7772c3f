package node

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"viakv/api/kv"
	"viakv/ring/keyspace"
)

func TestInspectionShowsWhatEachMemberHolds(t *testing.T) {
	inMesh(t, 3, func(m *mesh) {
		ctx := context.Background()
		for _, w := range []struct {
			at         int
			key, value string
		}{{0, "a", "1"}, {1, "a", "2"}, {2, "b", "3"}} {
			if _, err := m.nodes[w.at].Set(ctx, []byte(w.key), []byte(w.value), kv.Options{W: kv.QuorumAll}); err != nil {
				t.Fatal(err)
			}
		}
		// Each member shows its copy of the newest value, the owner's first.
		got := m.nodes[0].Copies(ctx, []byte("a"))
		if len(got.Copies) != 3 || got.Epoch != m.nodes[0].Status().Epoch {
			t.Fatalf("%+v", got)
		}
		placement := m.nodes[0].Placement()
		if owner := placement.Members[placement.Owners[got.Partition]]; len(placement.Owners) != keyspace.Partitions || got.Copies[0].Member != owner {
			t.Errorf("the first copy is that of %s, and the owner of partition %d is %s", got.Copies[0].Member, got.Partition, owner)
		}
		writer := m.nodes[1].Status().Members[1].Incarnation
		for _, c := range got.Copies {
			if r := c.Record; c.Err != nil || string(r.Value) != "2" || r.Tag.Incarnation != writer || len(r.Vector.Entries()) != 1 || r.Tag != got.Copies[0].Record.Tag {
				t.Errorf("%+v", c)
			}
		}
		// After a remove each member shows the tombstone. A key that was never set has no record.
		if err := m.nodes[2].Remove(ctx, []byte("a"), kv.Options{W: kv.QuorumAll}); err != nil {
			t.Fatal(err)
		}
		for _, c := range m.nodes[1].Copies(ctx, []byte("a")).Copies {
			if !c.Record.Tag.Removed {
				t.Errorf("after the remove: %+v", c)
			}
		}
		for _, c := range m.nodes[1].Copies(ctx, []byte("never")).Copies {
			if !c.Record.Tag.IsZero() || c.Err != nil {
				t.Errorf("a key that no member has: %+v", c)
			}
		}
		// All members hold the same records.
		for _, h := range m.nodes[2].Holdings(ctx) {
			if h.Err != nil || h.Keys != 1 || h.Tombstones != 1 || h.Digest != m.nodes[0].Holdings(ctx)[0].Digest {
				t.Errorf("%+v", h)
			}
		}
	})
}

func TestInspectionOfAMemberThatIsGone(t *testing.T) {
	inMesh(t, 3, func(m *mesh) {
		t := m.t
		m.kill(2)
		began := time.Now()
		soon := func() context.Context {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			t.Cleanup(cancel)
			return ctx
		}
		copies, holdings := m.nodes[0].Copies(soon(), []byte("a")).Copies, m.nodes[0].Holdings(soon())
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("it took %v", took)
		}
		gone := m.name(2)
		if i := slices.IndexFunc(copies, func(c kv.Copy) bool { return c.Err != nil }); len(copies) != 3 || i < 0 || copies[i].Member != gone {
			t.Errorf("%+v", copies)
		}
		if i := slices.IndexFunc(holdings, func(h kv.Holding) bool { return h.Err != nil }); len(holdings) != 3 || i < 0 || holdings[i].Member != gone {
			t.Errorf("%+v", holdings)
		}
	})
}

// Members that serve can be asked how far a rebuilding member has come.
func TestInspectionOfAMemberThatIsRebuilding(t *testing.T) {
	inMesh(t, 3, func(m *mesh) {
		for i := range 50 {
			m.set(0, fmt.Sprint("key", i), "v")
		}
		leader, lacking, back := m.leaderAndFollowers() // only the leader can admit the node
		m.kill(back)
		m.cut(lacking, back)
		m.start(back, m.seeds(3)) // it can copy from only one of the two members that it needs
		m.until(30*time.Second, "the node that is back has reported what it copied", func() bool {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			h := m.nodes[leader].Holdings(ctx)
			return len(h) == 3 && h[back].Err == nil && h[back].Keys == 50
		})
		if state := m.nodes[leader].Status().Members[back].State; state != "rebuilding" {
			t.Errorf("the member is %s, and should still miss a copy", state)
		}
		// A rebuilding copy answers no read, so it is not shown either, whichever member is asked.
		for _, asked := range []int{leader, back} {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			for _, c := range m.nodes[asked].Copies(ctx, []byte("key7")).Copies {
				if c.Member == m.name(back) && (c.Err == nil || c.Err.Error() != "the member is still copying, and answers once it has everything" || !c.Record.Tag.IsZero()) {
					t.Errorf("%s shows the copy of the rebuilding member: %+v", m.name(asked), c)
				}
			}
			cancel()
		}
		m.net.HealAll()
		m.until(30*time.Second, "the node that is back serves", m.ready(back))
	})
}

func TestInspectionOfANodeThatServesNobody(t *testing.T) {
	inMesh(t, 1, func(m *mesh) {
		n := m.nodes[0]
		if h := n.Holdings(context.Background()); len(h) != 1 || h[0].Member != m.name(0) {
			t.Errorf("alone: %+v", h)
		}
		n.frozen.Store(true)
		defer n.frozen.Store(false)
		if h, c := n.Holdings(context.Background()), n.Copies(context.Background(), []byte("a")); h != nil || c.Copies != nil {
			t.Errorf("between two memberships: %+v %+v", h, c)
		}
	})
}

// A shown digest tells whether two members hold the same records. It shows nothing of the sums, and
// nothing of what a write has added to them.
func TestShownDigestsHideTheSums(t *testing.T) {
	inMesh(t, 3, func(m *mesh) {
		m.set(0, "a", "1")
		m.until(5*time.Second, "all are equal", m.equal(0, 1, 2))
		s := m.state(0)
		sums := s.Store.Root().Append(nil)
		shown := m.nodes[0].Status().Digest
		for _, text := range []string{shown, m.nodes[0].Holdings(context.Background())[0].Digest} {
			for i := 16; i < len(sums); i += 4 {
				little, big := fmt.Sprintf("%x", sums[i:i+4]), fmt.Sprintf("%02x%02x%02x%02x", sums[i+3], sums[i+2], sums[i+1], sums[i])
				if strings.Contains(text, little) || strings.Contains(text, big) {
					t.Errorf("%s shows a part of the sums %x", text, sums[16:])
				}
			}
		}
		if other := m.nodes[2].Status().Digest; other != shown {
			t.Errorf("%s and %s of members that hold the same", shown, other)
		}
		m.set(0, "a", "2")
		if now := m.nodes[0].Status().Digest; now == shown {
			t.Errorf("%s before and after a write", now)
		}
	})
}
