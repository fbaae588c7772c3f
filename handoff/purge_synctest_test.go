package handoff

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"viakv/quorum/replica"
	"viakv/quorum/version"
)

func purging(c *Config) { c.PurgeEvery = time.Second }

// everywhere sets a record on all nodes.
func (m *fakeMesh) everywhere(key string, r version.Record) {
	for _, x := range m.nodes {
		x.store.Merge(key, r)
	}
}

func (m *fakeMesh) runAll(t *testing.T) {
	for _, x := range m.nodes {
		x.run(t)
	}
}

func (m *fakeMesh) tombstones() (n int) {
	for _, x := range m.nodes {
		n += x.store.Count(func(r version.Record) bool { return r.Tag.Removed })
	}
	return n
}

func TestTombstonesThatAllHoldArePurged(t *testing.T) {
	inMesh(t, 3, func(c *Config) { purging(c); c.PurgeBatch = 200 }, func(t *testing.T, m *fakeMesh) {
		m.fill(100)
		for i := range 1000 {
			m.everywhere(fmt.Sprintf("gone-%d", i), tombstone(3))
		}
		epoch := m.epoch
		m.runAll(t)
		eventually(t, 20*time.Second, "no tombstones are left", func() bool { return m.tombstones() == 0 })
		if !m.equal(m.nodes...) || m.nodes[0].store.Len() != 100 {
			t.Errorf("%d keys left", m.nodes[0].store.Len())
		}
		m.mu.Lock()
		now := m.epoch
		m.mu.Unlock()
		if steps := now - epoch; steps < 5 || steps > 8 {
			t.Errorf("%d steps for 1000 tombstones in lists of 200", steps)
		}
		for _, x := range m.nodes {
			if s := x.driver.Stats(); s.Purged != 1000 {
				t.Errorf("%s purged %d", x.self.Name, s.Purged)
			}
		}
		for _, x := range m.nodes[1:] {
			if s := x.driver.Stats(); s.Purges != 0 {
				t.Errorf("%s proposes although %s does", x.self.Name, m.nodes[0].self.Name)
			}
		}
		time.Sleep(10 * time.Second)
		m.stop()
		if m.epoch != now {
			t.Error("the topology moves although there is nothing to purge")
		}
	})
}

// G1: while one replica does not hold exactly a tombstone, it stays everywhere. A repair brings it
// to that replica, and then it is purged.
func TestATombstoneThatOneMissedStays(t *testing.T) {
	for name, other := range map[string]version.Record{
		"an older value": value(3, "old"),
		"nothing":        {},
	} {
		t.Run(name, func(t *testing.T) {
			inMesh(t, 3, purging, func(t *testing.T, m *fakeMesh) {
				if other.Live() {
					m.everywhere("gone", other)
				}
				m.nodes[0].store.Merge("gone", tombstone(3))
				m.nodes[2].store.Merge("gone", tombstone(3))
				refused := 0
				m.hook = func(op string, _, to *fakeNode) error {
					if op == "hold" && to == m.nodes[1] {
						if r := to.store.Record("gone"); !r.Tag.Removed {
							refused++
						}
					}
					if op == "push" && refused < 8 {
						return errors.New("not yet")
					}
					return nil
				}
				m.runAll(t)
				eventually(t, 60*time.Second, "the tombstone is gone", func() bool { return m.tombstones() == 0 })
				m.stop()
				if refused == 0 || m.nodes[0].driver.Stats().Refused == 0 {
					t.Errorf("no purge was refused")
				}
				if n := m.nodes[0].store.Len() + m.nodes[1].store.Len() + m.nodes[2].store.Len(); n != 0 {
					t.Errorf("%d records are left: the removed value is back", n)
				}
			})
		})
	}
}

// G1, G3: there is no purge while a slot is vacant or rebuilding, or while a change of size is
// open.
func TestNoPurgeUnlessComplete(t *testing.T) {
	for name, change := range map[string]func(m *fakeMesh){
		"rebuilding": func(m *fakeMesh) { m.nodes[2].activate(false) },
		"unsettled":  func(m *fakeMesh) { m.nodes[2].owes = &replica.Barrier{Change: 1, Need: 9} },
		"cut off":    func(m *fakeMesh) { m.cut(m.nodes[2], true) },
	} {
		t.Run(name, func(t *testing.T) {
			inMesh(t, 3, purging, func(t *testing.T, m *fakeMesh) {
				m.everywhere("gone", tombstone(3))
				change(m)
				m.step()
				m.nodes[0].run(t)
				time.Sleep(20 * time.Second)
				if m.tombstones() != 3 {
					t.Error("purged")
				}
			})
		})
	}
}

// A key is set again between the agreement and the step. The purge removes only the exact version.
func TestAKeySetAgainSurvivesThePurge(t *testing.T) {
	inMesh(t, 3, purging, func(t *testing.T, m *fakeMesh) {
		m.everywhere("gone", tombstone(3))
		m.everywhere("back", tombstone(3))
		holds := 0
		m.hook = func(op string, _, _ *fakeNode) error {
			if op == "hold" {
				if holds++; holds == 2 { // both peers have been asked
					go m.everywhere("back", value(4, "again"))
				}
			}
			return nil
		}
		m.nodes[0].run(t)
		eventually(t, 20*time.Second, "the tombstone is gone", func() bool { return m.tombstones() == 0 })
		for _, x := range m.nodes {
			if !x.store.Record("back").Live() {
				t.Errorf("%s lost what was set again", x.self.Name)
			}
		}
	})
}

// A tombstone is purged only when two rounds have seen it: the remove that made it may still
// collect votes.
func TestAFreshTombstoneWaits(t *testing.T) {
	inMesh(t, 3, purging, func(t *testing.T, m *fakeMesh) {
		m.nodes[0].run(t)
		time.Sleep(900 * time.Millisecond)
		m.everywhere("gone", tombstone(3))
		time.Sleep(time.Second)
		if m.tombstones() != 3 {
			t.Error("purged in the first round that saw it")
		}
		time.Sleep(time.Second)
		if m.tombstones() != 0 {
			t.Error("not purged in the second")
		}
	})
}

func TestLists(t *testing.T) {
	d := &Driver{}
	if l, err := d.Agreed(5); !errors.Is(err, errNoList) || l != nil {
		t.Errorf("%v %v: a list that nobody asked about", l, err)
	}
	d.lists.keep(&List{ID: 1, At: 7})
	d.lists.keep(&List{ID: 2, At: 7})
	if l, err := d.Agreed(2); err != nil || l == nil || l.ID != 2 {
		t.Errorf("%v %v", l, err)
	}
	if _, err := d.Agreed(1); !errors.Is(err, errNoList) {
		t.Error("a list outlives its epoch")
	}
	for i := range uint64(100) { // another member refuses each list
		d.lists.keep(&List{ID: 10 + i, At: 8})
		d.lists.keep(&List{ID: 10 + i, At: 8}) // each arrives twice
	}
	if len(d.lists.kept) != keptLists {
		t.Errorf("%d lists are kept", len(d.lists.kept))
	}
	d.lists.keep(&List{ID: 200, At: 9})
	if len(d.lists.kept) != 1 {
		t.Error("lists of a former epoch are kept")
	}
	if l, err := d.Agreed(200); err != nil || l.ID != 200 {
		t.Errorf("%v %v: the last list asked about", l, err)
	}
	if l, err := d.Agreed(0); l != nil || err != nil {
		t.Errorf("%v %v where nothing is purged", l, err)
	}
}

func TestBatches(t *testing.T) {
	c := &collector{batch: 1000}
	for _, want := range []int{500, 250, 125, smallestBatch, smallestBatch} {
		if c.batch = c.grown(false, 1000); c.batch != want {
			t.Errorf("batch %d after a no, want %d", c.batch, want)
		}
	}
	for range 10 {
		c.batch = c.grown(true, 1000)
	}
	if c.batch != 1000 {
		t.Errorf("batch %d after many yes", c.batch)
	}
	if c.batch = c.grown(false, 10); c.batch > 1000 {
		t.Errorf("batch %d", c.batch)
	}
}

func TestChecksGoRound(t *testing.T) {
	inMesh(t, 1, func(c *Config) { c.CheckEvery = time.Second }, func(t *testing.T, m *fakeMesh) {
		x := m.nodes[0]
		x.run(t)
		time.Sleep(17500 * time.Millisecond)
		if at := x.store.Checks(); len(at) != 17 || at[15] != 15<<60 || at[16] != 0 {
			t.Errorf("%d checks: %x", len(at), at)
		}
		if s := x.driver.Stats(); s.Drift != 0 || s.Checked != 17 {
			t.Errorf("%+v", s)
		}
		x.store.SetDrift(errors.New("drifted"))
		time.Sleep(2 * time.Second)
		if s := x.driver.Stats(); s.Drift != 2 {
			t.Errorf("%d drifts counted, want 2", s.Drift)
		}
	})
}

// A repair shows its progress while it runs.
func TestRepairReportsProgress(t *testing.T) {
	inMesh(t, 2, func(c *Config) { c.RepairEvery = time.Second; c.RepairRate = 1000 }, func(t *testing.T, m *fakeMesh) {
		for i := range 500 {
			m.nodes[0].store.Merge(fmt.Sprintf("k%d", i), value(3, "a value of some length"))
		}
		a := m.nodes[0]
		a.run(t)
		time.Sleep(3 * time.Second)
		p := a.driver.RepairWith(m.nodes[1].self.Holder())
		if p == nil || p.Kind != "repair" || p.Bytes == 0 {
			t.Fatalf("%+v", p)
		}
		if a.driver.RepairWith(77) != nil {
			t.Error("RepairWith reports a repair with an unknown incarnation")
		}
	})
}
