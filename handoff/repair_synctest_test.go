package handoff

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"viakv/quorum/replica"
	"viakv/quorum/version"
)

// cut separates a node from the others, or connects it again when down is false.
func (m *fakeMesh) cut(x *fakeNode, down bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	x.down = down
}

func (m *fakeMesh) count(op string) (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, o := range m.asked {
		if len(o) >= len(op) && o[:len(op)] == op {
			n++
		}
	}
	return n
}

// setMissedBy sets a key at a node, which notes that another has missed it.
func (x *fakeNode) setMissedBy(other *fakeNode, key string) {
	x.store.Merge(key, value(5, "missed"))
	x.driver.Miss(other.self.Name, other.self.Holder(), []byte(key))
}

func TestHintsAreReplayedWithThePresentRecord(t *testing.T) {
	inMesh(t, 3, nil, func(t *testing.T, m *fakeMesh) {
		m.fill(100)
		a, c := m.nodes[0], m.nodes[2]
		a.run(t)
		m.cut(c, true)
		time.Sleep(time.Second)
		for i := range 1500 {
			key := fmt.Sprintf("new-%04d", i)
			a.setMissedBy(c, key)
			a.store.Merge(key, value(6, "newer")) // H4: this version is sent
		}
		a.driver.Miss("n3", c.self.Holder(), []byte("purged since")) // nothing is left to send
		time.Sleep(5 * time.Second)
		if n := a.driver.Hints(c.self.Holder()); n != 1501 {
			t.Fatalf("%d hints while the member is away, want 1501", n)
		}
		m.cut(c, false)
		eventually(t, time.Second, "c is equal", func() bool { return m.equal(a, c) && a.driver.Hints(c.self.Holder()) == 0 })
		if r := c.store.Record("new-0000"); string(r.Value) != "newer" {
			t.Errorf("replayed %q", r.Value)
		}
		if s := a.driver.Stats(); s.Replayed != 1500 || s.Hinted != 1501 {
			t.Errorf("%+v", s)
		}
	})
}

// No hint is lost when a replay fails in the middle, or when an epoch cuts it off.
func TestAReplayThatFailsIsRepeated(t *testing.T) {
	inMesh(t, 3, nil, func(t *testing.T, m *fakeMesh) {
		a, c := m.nodes[0], m.nodes[2]
		for i := range 2000 {
			a.setMissedBy(c, fmt.Sprintf("k%04d", i))
		}
		pushes := 0
		m.hook = func(op string, _, _ *fakeNode) error {
			if op == "push" {
				if pushes++; pushes == 2 || pushes == 4 {
					return errCut
				}
			}
			return nil
		}
		a.run(t)
		time.Sleep(3 * time.Millisecond)
		m.step()
		eventually(t, 10*time.Second, "c is equal", func() bool { return m.equal(a, c) })
		m.stop()
		if pushes < 5 {
			t.Errorf("%d pushes: the failures were not met", pushes)
		}
	})
}

func TestHintsPastTheBoundBecomeARepair(t *testing.T) {
	inMesh(t, 3, func(c *Config) { c.HintLimit = 10 }, func(t *testing.T, m *fakeMesh) {
		m.fill(2000)
		a, c := m.nodes[0], m.nodes[2]
		a.run(t)
		m.cut(c, true)
		time.Sleep(time.Second + lookEvery/2) // the driver looks again once all hints are noted
		for i := range 100 {
			a.setMissedBy(c, fmt.Sprintf("key-%06d", i*17))
		}
		c.store.Merge("only here", value(4, "v")) // repair goes both ways
		m.cut(c, false)
		eventually(t, 5*time.Second, "a and c are equal", func() bool { return m.equal(a, c) })
		if s := a.driver.Stats(); s.Collapsed != 1 || s.Repairs == 0 || s.Replayed != 0 {
			t.Errorf("%+v", s)
		}
		if !a.store.Record("only here").Live() {
			t.Error("what only the other had was not fetched")
		}
	})
}

// This node compares itself with a member that comes back, even when it has no hint for that
// member. The member's misses may be noted at a node that died.
func TestAReturnBringsARepair(t *testing.T) {
	inMesh(t, 3, nil, func(t *testing.T, m *fakeMesh) {
		m.fill(2000)
		a, b, c := m.nodes[0], m.nodes[1], m.nodes[2]
		a.run(t)
		b.run(t)
		time.Sleep(time.Second)
		m.cut(c, true)
		time.Sleep(time.Second)
		for i := range 1000 {
			key := fmt.Sprintf("key-%06d", i)
			a.store.Merge(key, value(5, "missed"))
			b.store.Merge(key, value(5, "missed"))
		}
		m.cut(c, false)
		eventually(t, time.Second, "all are equal", func() bool { return m.equal(a, b, c) })
		time.Sleep(time.Second)
		if s := a.driver.Stats().Sent + b.driver.Stats().Sent; s != 1000 {
			t.Errorf("%d records were sent, want each once", s)
		}
	})
}

func TestRepairTakesTurns(t *testing.T) {
	inMesh(t, 4, func(c *Config) { c.RepairEvery = 10 * time.Second }, func(t *testing.T, m *fakeMesh) {
		m.fill(500)
		a := m.nodes[1]
		a.run(t)
		for i, x := range m.nodes {
			x.store.Merge(fmt.Sprintf("only-%d", i), value(uint64(i+3), "v"))
		}
		time.Sleep(34 * time.Second)
		for _, to := range []string{"n1", "n3", "n4"} {
			if m.count("digests n2>"+to) == 0 {
				t.Errorf("%s was never compared with", to)
			}
		}
		if a.store.Len() != 504 {
			t.Errorf("%d keys, want all 504", a.store.Len())
		}
	})
}

// H5: a write under way makes a range differ once. It causes no exchange.
func TestWhatDiffersOnceIsNotExchanged(t *testing.T) {
	inMesh(t, 2, func(c *Config) { c.RepairEvery = time.Second }, func(t *testing.T, m *fakeMesh) {
		m.fill(500)
		a, b := m.nodes[0], m.nodes[1]
		a.store.Merge("key-000001", value(5, "under way"))
		digests := 0
		m.hook = func(op string, _, _ *fakeNode) error {
			if op == "digests" {
				if digests++; digests == 3 { // the whole, the partitions, now again the one that differs
					b.store.Merge("key-000001", value(5, "under way"))
				}
			}
			return nil
		}
		a.run(t)
		time.Sleep(1500 * time.Millisecond)
		if m.count("digests") < 3 || m.count("tags") != 0 || m.count("push") != 0 {
			t.Errorf("%d digests, %d tags, %d pushes; want a second comparison and no exchange", m.count("digests"), m.count("tags"), m.count("push"))
		}
	})
}

// H1: what was read before a purge is not stored after it, by whichever operation it was read or
// sent.
func TestNothingCrossesAnEpoch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, op := range []string{"tags", "fetch", "push"} {
			m := newMesh(t, 2, func(c *Config) { c.RepairEvery = time.Second })
			a, b := m.nodes[0], m.nodes[1]
			a.store.Merge("mine", value(5, "old"))
			b.store.Merge("theirs", value(5, "old"))
			stepped := false
			m.hook = func(o string, _, _ *fakeNode) error {
				if o == op && !stepped {
					stepped = true
					// Both keys are removed, and their tombstones purged at the next epoch, while
					// the request is under way.
					for _, x := range m.nodes {
						x.store.Advance(x.store.Epoch()+1, func(version.Record) bool { return false })
					}
				}
				return nil
			}
			a.run(t)
			time.Sleep(3 * time.Second)
			m.stop()
			if !stepped {
				t.Fatalf("%s never came", op)
			}
			if a.store.Len()+b.store.Len() != 0 {
				t.Errorf("a value came back from before the purge, by way of %s", op)
			}
		}
	})
}

func TestBarrierMergesEnoughMembers(t *testing.T) {
	inMesh(t, 4, nil, func(t *testing.T, m *fakeMesh) {
		m.fill(300)
		a := m.nodes[0]
		m.nodes[1].store.Merge("only-2", value(3, "v"))
		m.nodes[2].store.Merge("only-3", value(4, "v"))
		m.cut(m.nodes[3], true)
		a.owes = &replica.Barrier{Change: m.epoch + 1, From: []string{"n1", "n2", "n3", "n4"}, Need: 3}
		m.step()
		a.run(t)
		eventually(t, 5*time.Second, "the barrier is done", func() bool { return a.Current().Barrier == nil })
		for _, key := range []string{"only-2", "only-3"} {
			if !a.store.Record(key).Live() {
				t.Errorf("%s was not merged", key)
			}
		}
	})
}

// When too few of the barrier's members answer, the barrier waits. It goes on when they return.
func TestBarrierWaitsForItsMembers(t *testing.T) {
	inMesh(t, 3, nil, func(t *testing.T, m *fakeMesh) {
		a, b := m.nodes[0], m.nodes[1]
		m.cut(b, true)
		m.cut(m.nodes[2], true)
		a.owes = &replica.Barrier{Change: m.epoch + 1, From: []string{"n2", "n3"}, Need: 2}
		m.step()
		a.run(t)
		time.Sleep(10 * time.Second)
		if a.Current().Barrier == nil {
			t.Fatal("the barrier was reported without its members")
		}
		if p := a.driver.Progress(); p == nil || p.Kind != "barrier" {
			t.Fatalf("progress %+v", p)
		}
		m.cut(b, false)
		m.cut(m.nodes[2], false)
		m.step()
		eventually(t, 10*time.Second, "the barrier is done", func() bool { return a.Current().Barrier == nil })
	})
}

// Only messages between two members show whether they can talk, and nothing else may make these two
// talk. So work for a member that seems unreachable is tried all the same.
func TestAMemberThatSeemsUnreachableIsTried(t *testing.T) {
	inMesh(t, 3, nil, func(t *testing.T, m *fakeMesh) {
		m.fill(100)
		a, c := m.nodes[0], m.nodes[2]
		m.silent = true
		a.run(t)
		a.setMissedBy(c, "missed")
		eventually(t, 3*time.Second, "c has what it missed", func() bool { return m.equal(a, c) })
	})
}

// glance is a Peers whose Reachable first calls a function.
type glance struct {
	Peers
	first func()
}

func (g glance) Reachable(v *replica.View, m *replica.Member) bool {
	g.first()
	return g.Peers.Reachable(v, m)
}

// Work may end while its member is being looked at. Its result must be taken before other work
// begins, or the driver never stops.
func TestWorkThatEndsDuringALook(t *testing.T) {
	inMesh(t, 3, nil, func(t *testing.T, m *fakeMesh) {
		a, c := m.nodes[0], m.nodes[2]
		m.delay = 0
		release := make(chan struct{})
		m.hook = func(op string, _, _ *fakeNode) error {
			if op == "push" {
				<-release
			}
			return nil
		}
		d, v := a.driver, a.Current()
		member := named(v, "n3")
		var work sync.WaitGroup
		look := func() { d.look(t.Context(), v, member, false, time.Now(), &work) }
		a.setMissedBy(c, "one")
		look()
		synctest.Wait() // the push waits for release
		peers := d.cfg.Peers
		d.cfg.Peers = glance{peers, func() {
			close(release)
			synctest.Wait() // the work has ended
			a.setMissedBy(c, "two")
		}}
		look()
		d.cfg.Peers = peers
		work.Wait()
		look()
		work.Wait()
		if n := d.Hints(c.self.Holder()); n != 0 {
			t.Errorf("%d hints are left", n)
		}
	})
}
