package handoff

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

// restart restarts a node, which loses its memory.
func (m *fakeMesh) restart(t *testing.T, x *fakeNode) {
	if x.stop != nil {
		x.stop()
		x.stop = nil
	}
	m.mu.Lock()
	over := x.over
	x.over = nil
	m.boot(t, x, nil)
	m.mu.Unlock()
	if over != nil {
		close(over)
	}
	m.step()
}

func TestRebuildCopiesFromOwnersAndComparesWithOthers(t *testing.T) {
	inMesh(t, 3, nil, func(t *testing.T, m *fakeMesh) {
		m.fill(3000)
		a, b, c := m.nodes[0], m.nodes[1], m.nodes[2]
		// These were acknowledged by two of three nodes, and the third lost its memory. So each key
		// is on only one of the sources.
		a.store.Merge("only-a", value(7, "a"))
		b.store.Merge("only-b", value(9, "b"))
		m.restart(t, c)
		c.run(t)
		c.becomesActive(t, 10*time.Second)
		m.stop()
		for _, key := range []string{"only-a", "only-b"} {
			if !c.store.Record(key).Live() {
				t.Errorf("%s is lost", key)
			}
		}
		if c.store.Len() != 3002 {
			t.Errorf("%d keys, want 3002", c.store.Len())
		}
		if c.counter.Now() < 9 {
			t.Errorf("the counter is at %d: behind a record that was copied (M3)", c.counter.Now())
		}
		for _, x := range []*fakeNode{a, b} {
			copies := 0
			for _, op := range m.asked {
				if op == "copy n3>"+x.self.Name {
					copies++
				}
			}
			if copies < 64 {
				t.Errorf("%s was asked for %d copies: the partitions' owners share the work", x.self.Name, copies)
			}
		}
		if s := c.driver.Stats(); s.Rebuilds != 1 || s.Received < 3000 || s.Received > 3300 {
			t.Errorf("%+v: want one copy of the data", s)
		}
		if p := c.driver.Progress(); p != nil {
			t.Errorf("progress after the end: %+v", p)
		}
	})
}

func TestRebuildSurvivesASourceThatDies(t *testing.T) {
	inMesh(t, 5, nil, func(t *testing.T, m *fakeMesh) {
		m.fill(2000)
		last := m.nodes[4]
		m.restart(t, last)
		asked := 0
		m.hook = func(op string, _, to *fakeNode) error {
			if asked++; asked > 100 && to == m.nodes[0] {
				return errCut
			}
			return nil
		}
		last.run(t)
		last.becomesActive(t, 20*time.Second)
		if !m.equal(m.nodes...) {
			t.Error("the rebuilt node differs")
		}
	})
}

// M2, G3, H3: what was copied before a source lost its memory, or before a clear, is not enough.
func TestRebuildStartsOver(t *testing.T) {
	for name, change := range map[string]func(t *testing.T, m *fakeMesh){
		"a source lost its memory": func(t *testing.T, m *fakeMesh) {
			m.restart(t, m.nodes[1])
			m.mu.Lock()
			m.nodes[1].activate(true) // as if it had rebuilt at once
			m.mu.Unlock()
			for _, x := range m.nodes[2:4] {
				for i := range 500 {
					m.nodes[1].store.Merge(fmt.Sprintf("key-%06d", i), *x.store.Record(fmt.Sprintf("key-%06d", i)))
				}
			}
			m.step()
		},
		"a clear": func(_ *testing.T, m *fakeMesh) {
			m.mu.Lock()
			m.gen++
			m.mu.Unlock()
			m.step()
		},
		"a size change": func(_ *testing.T, m *fakeMesh) {
			m.mu.Lock()
			m.sized = m.epoch + 1
			m.mu.Unlock()
			m.step()
		},
	} {
		t.Run(name, func(t *testing.T) {
			inMesh(t, 5, nil, func(t *testing.T, m *fakeMesh) {
				m.fill(500)
				last := m.nodes[4]
				m.restart(t, last)
				before := m.epoch
				last.run(t)
				time.Sleep(20 * time.Millisecond)
				if last.Current().Me().Active() {
					t.Fatal("the rebuild was over before anything happened")
				}
				change(t, m)
				last.becomesActive(t, 20*time.Second)
				m.stop()
				if last.basis.Epoch <= before {
					t.Errorf("the rebuild was reported on the basis of epoch %d, whose copies are outdated", last.basis.Epoch)
				}
				if s := last.driver.Stats(); s.StartOvers == 0 {
					t.Error("it did not start over")
				}
				if !m.equal(m.nodes[4], m.nodes[3]) {
					t.Error("the rebuilt node differs")
				}
			})
		})
	}
}

// An epoch that changes nothing about the sources does not make a rebuild start over.
func TestRebuildGoesOnAcrossEpochs(t *testing.T) {
	inMesh(t, 3, nil, func(t *testing.T, m *fakeMesh) {
		m.fill(500)
		last := m.nodes[2]
		m.restart(t, last)
		basis := m.epoch
		last.run(t)
		for range 5 {
			time.Sleep(20 * time.Millisecond)
			m.step()
		}
		last.becomesActive(t, 20*time.Second)
		m.stop()
		if s := last.driver.Stats(); s.StartOvers != 0 || last.basis.Epoch != basis {
			t.Errorf("%d times started over, basis %d; want none, %d", s.StartOvers, last.basis.Epoch, basis)
		}
		if !m.equal(m.nodes...) {
			t.Error("the rebuilt node differs")
		}
	})
}

// M3: with fewer sources than needed, the node waits and shows so in its progress. It goes on when
// a source returns.
func TestRebuildWaitsForEnoughSources(t *testing.T) {
	inMesh(t, 3, nil, func(t *testing.T, m *fakeMesh) {
		m.fill(100)
		m.nodes[1].activate(false)
		last := m.nodes[2]
		m.restart(t, last)
		last.run(t)
		time.Sleep(5 * time.Second)
		p := last.driver.Progress()
		if last.Current().Me().Active() || p == nil || p.Need != 2 || p.Sources != 1 {
			t.Fatalf("active %v, progress %+v", last.Current().Me().Active(), p)
		}
		m.nodes[1].activate(true)
		m.step()
		last.becomesActive(t, 10*time.Second)
	})
}

func TestRebuildReportsProgress(t *testing.T) {
	inMesh(t, 3, nil, func(t *testing.T, m *fakeMesh) {
		m.fill(2000)
		last := m.nodes[2]
		m.restart(t, last)
		m.hook = func(op string, _, _ *fakeNode) error {
			if op == "copy" && len(m.asked) > 150 {
				return errors.New("stalled")
			}
			return nil
		}
		last.run(t)
		time.Sleep(time.Second)
		p := last.driver.Progress()
		if p == nil || p.Kind != "rebuild" || p.Done < 0.1 || p.Done > 0.9 || p.Keys == 0 || p.Bytes == 0 || p.Left <= 0 {
			t.Fatalf("%+v", p)
		}
		m.mu.Lock()
		m.hook = nil
		m.mu.Unlock()
		last.becomesActive(t, 20*time.Second)
	})
}

// A lost request must not hold up a rebuild. Its time ends, and another member is asked.
func TestLostRequestsAreGivenUp(t *testing.T) {
	inMesh(t, 5, nil, func(t *testing.T, m *fakeMesh) {
		m.fill(500)
		last := m.nodes[4]
		m.restart(t, last)
		m.lost = m.nodes[1]
		last.run(t)
		last.becomesActive(t, 30*time.Second)
		if !m.equal(m.nodes...) {
			t.Error("the rebuilt node differs")
		}
	})
}
