package topology

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"viakv/api/kv"
	"viakv/quorum/version"
)

func TestSealed(t *testing.T) {
	slot := func(name string, boot uint64, incarnation version.Incarnation) Slot {
		s := Slot{Identity: Identity{Name: name, BootID: boot}, Incarnation: incarnation}
		if incarnation == 0 {
			s.Pending = 99
		}
		return s
	}
	three := []Slot{slot("a", 1, 1), slot("b", 2, 2), slot("c", 3, 3)}
	rebooted := []Slot{slot("a", 1, 1), slot("b", 2, 2), slot("c", 4, 0)}
	for _, c := range []struct {
		name    string
		prev    Predecessor
		slots   []Slot
		reports reports
		want    bool
	}{
		{"nobody reports", Predecessor{4, 2, three}, three, reports{}, false},
		{"one of two", Predecessor{4, 2, three}, three, reports{quiet: map[uint64]version.Epoch{1: 5}}, false},
		{"two of two", Predecessor{4, 2, three}, three, reports{quiet: map[uint64]version.Epoch{1: 5, 3: 7}}, true},
		{"an older report", Predecessor{4, 2, three}, three, reports{quiet: map[uint64]version.Epoch{1: 5, 3: 4}}, false},
		{"a stranger's report", Predecessor{4, 2, three}, three, reports{quiet: map[uint64]version.Epoch{1: 5, 9: 5}}, false},
		{"a newer process in the slot, a moment ago", Predecessor{4, 2, three}, rebooted, reports{quiet: map[uint64]version.Epoch{1: 5}}, false},
		{"a newer process in the slot, for long", Predecessor{4, 2, three}, rebooted, reports{quiet: map[uint64]version.Epoch{1: 5}, gone: map[uint64]bool{3: true}}, true},
		{"a newer process is proved, for long", Predecessor{4, 2, three}, three, reports{quiet: map[uint64]version.Epoch{1: 5}, gone: map[uint64]bool{2: true}}, true},
		{"forced, and the one that answers is not quiet", Predecessor{4, 1, three}, three, reports{}, false},
		{"forced, and the one that answers is quiet", Predecessor{4, 1, three}, three, reports{quiet: map[uint64]version.Epoch{1: 5}}, true},
		{"vacant before", Predecessor{4, 2, rebooted}, rebooted, reports{quiet: map[uint64]version.Epoch{2: 5}}, true},
		{"the leaver counts, it is of the list before", Predecessor{4, 2, three}, three[:2], reports{quiet: map[uint64]version.Epoch{1: 5, 3: 5}}, true},
		{"the joiner does not", Predecessor{4, 2, three[:2]}, three, reports{quiet: map[uint64]version.Epoch{1: 5, 3: 5}}, false},
		{"founded", Predecessor{}, three, reports{}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			top := &Topology{Epoch: 5, Slots: c.slots, Prev: c.prev}
			if got := top.sealed(c.reports); got != c.want {
				t.Errorf("sealed: %v", got)
			}
		})
	}
}

// M5, L10: the seal of an epoch takes so many slots that no quorum of the epoch before avoids all
// of them, neither one that completes writes, nor one whose leases let somebody answer alone.
func TestHowManySealAnEpoch(t *testing.T) {
	for _, c := range []struct {
		n    int
		r, w kv.Quorum
		want int
	}{
		{1, 0, 0, 1}, {2, 0, 0, 1}, {3, 0, 0, 2}, {4, 0, 0, 2}, {5, 0, 0, 3}, {3, 1, kv.QuorumAll, 3}, {3, kv.QuorumAll, 1, 3}, {4, 2, 3, 3}, {4, 3, 2, 3},
	} {
		top, err := firstTopology(Topology{Cluster: 1, ReadQuorum: c.r, WriteQuorum: c.w}, identities(strings.Fields("a b c d e")[:c.n]...))
		if err != nil {
			t.Fatal(err)
		}
		if got := top.predecessor().Need; got != c.want {
			t.Errorf("R=%v, W=%v of %d: %d slots, want %d", c.r, c.w, c.n, got, c.want)
		}
	}
}

// clearAt asks a process for a clear, and returns where the answer arrives.
func (w *world) clearAt(p *process) <-chan error {
	answered := make(chan error, 1)
	go func() {
		_, err := p.m.Clear(w.ctx(20 * time.Second))
		answered <- err
	}()
	return answered
}

// M8: a clear is answered only once enough members refuse requests of older epochs. It is not
// enough that the clear is committed.
func TestClearIsAnsweredAfterSealing(t *testing.T) {
	simulate(t, func(w *world) {
		leader, b, c := w.ledTrio()
		b.block()
		c.block()
		answered := w.clearAt(leader)
		w.until("the clear is agreed", 5*time.Second, func() bool {
			return leader.m.current().Generation == 1 && b.m.newest().Generation == 1
		})
		select {
		case err := <-answered:
			t.Fatalf("answered before any other member refuses: %v", err)
		case <-time.After(5 * time.Second):
		}
		c.unblock()
		if err := <-answered; err != nil {
			t.Error(err)
		}
		// The next change waits for the seal of this one, which is there.
		if g, err := leader.m.Clear(w.ctx(20 * time.Second)); err != nil || g != 2 {
			t.Errorf("generation %d, %v", g, err)
		}
		b.unblock()
		w.agree(10*time.Second, leader, b, c)
	})
}

// E4: nothing follows an epoch that is not sealed, since the Host of every other member is blocked.
func TestNothingFollowsAnUnsealedEpoch(t *testing.T) {
	simulate(t, func(w *world) {
		leader, b, c := w.ledTrio()
		b.block()
		c.block()
		for range 3 {
			go func() { _, _ = leader.m.Clear(w.ctx(60 * time.Second)) }()
		}
		w.until("one clear", 5*time.Second, func() bool { return leader.m.current().Generation == 1 })
		time.Sleep(10 * time.Second)
		if g := leader.m.newest().Generation; g != 1 {
			t.Fatalf("%d clears were agreed on unsealed epochs", g)
		}
		b.unblock()
		c.unblock()
		w.until("all clears", 10*time.Second, func() bool { return leader.m.current().Generation == 3 })
	})
}

func TestPurge(t *testing.T) {
	simulate(t, func(w *world) {
		a, b, c := w.trio()
		w.leader(a, b, c)
		e := a.m.current().Epoch
		if err := b.m.Purge(w.ctx(5*time.Second), 77, e); err != nil {
			t.Fatal(err)
		}
		top := w.agree(5*time.Second, a, b, c)
		if top.Purge != 1 || top.PurgeList != 77 {
			t.Errorf("%s", top.encode())
		}
		if err := c.m.Purge(w.ctx(5*time.Second), 78, e); !errors.Is(err, errEpoch) {
			t.Errorf("at an epoch that is past: %v", err)
		}
	})
}

// The log is compacted. A process that comes later gets a snapshot.
func TestLongLog(t *testing.T) {
	simulate(t, func(w *world) {
		a, b, c := w.trio()
		w.leader(a, b, c)
		for i := range uint64(3 * compactAfter) {
			if err := a.m.Purge(w.ctx(5*time.Second), i, a.m.newest().Epoch); err != nil && !errors.Is(err, errEpoch) {
				t.Fatal(err)
			}
		}
		c.crash()
		c = w.start("c", seeds("a", "b", "c"))
		top := w.agree(10*time.Second, a, b, c)
		if top.Purge < 2*compactAfter || len(top.Applied) > remembered {
			t.Errorf("%d purges, %d operations remembered", top.Purge, len(top.Applied))
		}
		if first, err := a.m.group.log.FirstIndex(); err != nil || first < compactAfter {
			t.Errorf("the log begins at %d, %v", first, err)
		}
		names := top.Names()
		if !slices.IsSorted(names) {
			t.Error(names)
		}
	})
}

// M5: a process that has stopped counts towards the seal of an epoch like one that has adopted it,
// since it completes nothing any more. So it must not count before its host is closed.
func TestAStoppingMemberRefusesBeforeItCounts(t *testing.T) {
	simulate(t, func(w *world) {
		leader, slow, stopping := w.ledTrio()
		slow.block()
		stopping.block()
		stopping.cancel()
		answered := w.clearAt(leader)
		select {
		case err := <-answered:
			t.Errorf("the clear was answered (%v) while one host has not adopted it and the other is not closed yet", err)
		case <-time.After(5 * time.Second):
		}
		stopping.unblock()
		<-stopping.ended
		if err := <-answered; err != nil {
			t.Errorf("with the host closed: %v", err)
		}
		slow.unblock()
	})
}
