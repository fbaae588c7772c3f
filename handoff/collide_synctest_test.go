package handoff

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"viakv/quorum/replica"
	"viakv/ring/keyspace"
)

// collide makes n keys that share one rank, each with a value of so many bytes, and stores them at
// the given nodes.
func (m *fakeMesh) collide(n, bytes int, nodes ...*fakeNode) {
	v := strings.Repeat("v", bytes)
	for i := range n {
		for _, x := range nodes {
			x.store.Merge(fmt.Sprintf("%s%06d", sharing, i), value(1, v))
		}
	}
}

// K2, H7: a rank that holds more than fits a message is copied in portions, both where a rebuild
// copies and where it compares.
func TestARebuildCopiesWhatSharesARank(t *testing.T) {
	for name, c := range map[string]struct{ keys, bytes int }{
		"large values": {5000, 1024}, // more than fits a message
		"many keys":    {8000, 8},
	} {
		t.Run(name, func(t *testing.T) {
			inMesh(t, 3, nil, func(t *testing.T, m *fakeMesh) {
				m.fill(300)
				a, b, x := m.nodes[0], m.nodes[1], m.nodes[2]
				m.collide(c.keys, c.bytes, m.nodes...)
				a.store.Merge(sharing+"only-a", value(7, "a")) // acknowledged by a and by x, which forgets it
				b.store.Merge(sharing+"only-b", value(9, "b"))
				m.restart(t, x)
				x.run(t)
				x.becomesActive(t, time.Minute)
				m.stop()
				if n := x.store.Len(); n != c.keys+302 {
					t.Errorf("it has %d keys, want %d", n, c.keys+302)
				}
				if m.longest > sharedBytes+2000 {
					t.Errorf("a member answered with %d bytes at once, and %d were asked for", m.longest, sharedBytes)
				}
			})
		})
	}
}

// A repair finds what differs at a shared rank, and moves it both ways.
func TestARepairExchangesWhatSharesARank(t *testing.T) {
	inMesh(t, 2, nil, func(t *testing.T, m *fakeMesh) {
		m.fill(300)
		a, b := m.nodes[0], m.nodes[1]
		m.collide(3000, 1024, a)
		for i := range 3000 {
			key := fmt.Sprintf("%s%06d", sharing, i)
			switch i % 3 {
			case 0:
				b.store.Merge(key, value(2, "newer there"))
			case 1:
				b.store.Merge(key, tombstone(1))
			}
		}
		b.store.Merge(sharing+"alone", value(3, "there"))
		a.run(t)
		a.driver.want(&b.self)
		eventually(t, time.Minute, "both are equal", func() bool { return m.equal(a, b) })
		m.stop()
		if r := a.store.Record(sharing + "000003"); string(r.Value) != "newer there" {
			t.Errorf("%q", r.Value)
		}
		if n := b.store.Len(); n != 3301 {
			t.Errorf("the member holds %d records, want 3301", n)
		}
	})
}

// The member may have got more records at a rank since it sent its tags. They are fetched, too, in
// as many replies as are needed.
func TestAFetchGoesOnWithinARank(t *testing.T) {
	inMesh(t, 2, nil, func(t *testing.T, m *fakeMesh) {
		a, b := m.nodes[0], m.nodes[1]
		m.collide(3000, 1024, b)
		var ranks []keyspace.Rank
		for i := range 400 {
			key := fmt.Sprint("k", i)
			b.store.Merge(key, value(1, "v"))
			ranks = append(ranks, rankOf([]byte(key)))
		}
		ranks = append(ranks, rankOf([]byte(sharing)), ranks[0])
		s := &session{d: a.driver, v: a.Current(), with: &b.self, progress: newProgress("repair")}
		if err := s.fetchRanks(t.Context(), ranks); err != nil {
			t.Fatal(err)
		}
		if n := a.store.Len(); n != 3400 {
			t.Errorf("%d records were fetched, want 3400", n)
		}
	})
}

// Tombstones at one rank are purged in lists that fit a message.
func TestTombstonesThatShareARankArePurged(t *testing.T) {
	inMesh(t, 3, func(c *Config) { purging(c); c.PurgeBatch = 1000 }, func(t *testing.T, m *fakeMesh) {
		for i := range 5000 {
			m.everywhere(fmt.Sprintf("%s%06d", sharing, i), tombstone(3))
		}
		m.runAll(t)
		eventually(t, time.Minute, "no tombstones are left", func() bool { return m.tombstones() == 0 })
		if s := m.nodes[0].driver.Stats(); s.Refused != 0 || s.Purges < 5 {
			t.Errorf("%d lists were agreed on and %d refused", s.Purges, s.Refused)
		}
	})
}

// Lists of the longest keys fit a message. They have fewer tombstones than the bound on a list
// allows.
func TestListsOfLongKeysFitAMessage(t *testing.T) {
	inMesh(t, 2, purging, func(t *testing.T, m *fakeMesh) {
		const n = 14_000 // some 4 MiB
		long := strings.Repeat("k", 250)
		for i := range n {
			m.everywhere(fmt.Sprintf("%s%06d", long, i), tombstone(3))
		}
		m.runAll(t)
		eventually(t, time.Minute, "no tombstones are left", func() bool { return m.tombstones() == 0 })
		if m.longest > messageLimit/2+1000 {
			t.Errorf("a list of %d bytes", m.longest)
		}
		if s := m.nodes[0].driver.Stats(); s.Refused != 0 || s.Purges < 2 {
			t.Errorf("%d lists were agreed on and %d refused", s.Purges, s.Refused)
		}
	})
}

// stuck is a member whose pages do not go on.
type stuck struct {
	Peers
	next keyspace.Place
}

func (s stuck) Copy(_ context.Context, _ *replica.View, _ *replica.Member, _ keyspace.Range, _ []byte, _ int, p *replica.Page) error {
	p.Reset()
	p.Next = s.next
	return nil
}

func (s stuck) Fetch(_ context.Context, _ *replica.View, _ *replica.Member, _ []keyspace.Rank, _ []byte, p *replica.Page) error {
	p.Reset()
	p.Next = s.next
	return nil
}

// A member that always names the same place, or a place outside of what was asked for, causes an
// error, not a loop.
func TestPagesThatDoNotGetOnAreAnError(t *testing.T) {
	m := newMesh(t, 2, nil)
	a := m.nodes[0]
	r := keyspace.Range{From: 1000, To: 2000}
	for _, next := range []keyspace.Place{
		{Rank: 1000}, {Rank: 999, Key: []byte("z")}, {Rank: 2000, Key: []byte("a")}, {Rank: 3000}, {Rank: 1500, Key: []byte("k")},
	} {
		cfg := a.driver.cfg
		cfg.Peers = stuck{next: next}
		d, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		s := &session{d: d, v: a.Current(), with: &m.nodes[1].self, progress: newProgress("repair")}
		if err := s.copyRange(t.Context(), r); !errors.Is(err, errNonsense) {
			t.Errorf("a copy that goes on at %d %q: %v", next.Rank, next.Key, err)
		}
		if err := s.fetchRanks(t.Context(), []keyspace.Rank{1000, 1500}); !errors.Is(err, errNonsense) {
			t.Errorf("a fetch that goes on at %d %q: %v", next.Rank, next.Key, err)
		}
	}
}
