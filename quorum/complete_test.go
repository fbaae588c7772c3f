package quorum

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"viakv/api/kv"
	"viakv/quorum/replica"
	"viakv/quorum/version"
	"viakv/quorum/watermark"
)

// completing runs a test of node 0 of a mesh of three, which completes its unfinished records in
// the background.
func completing(t *testing.T, test func(*testing.T, *mesh, *node)) {
	t.Helper()
	inMesh(t, 3, func(t *testing.T, m *mesh) {
		defer m.nodes[0].completes()()
		test(t, m, m.nodes[0])
	})
}

// completes makes the node complete its unfinished records, until the function that it returns is
// called.
func (nd *node) completes() (end func()) {
	ctx, cancel := context.WithCancel(bg)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		nd.Complete(ctx)
	}()
	return func() {
		cancel()
		<-ended
	}
}

// open reports whether a number of the node is open.
func (nd *node) open() bool {
	c := nd.Current().Counter
	return c.Mark() <= c.Now()
}

// settled waits until no number of the node is open.
func (nd *node) settled(t *testing.T) {
	t.Helper()
	for range 100 {
		if time.Sleep(100 * time.Millisecond); !nd.open() {
			return
		}
	}
	t.Fatalf("the watermark stays at %d, below the counter %d", nd.Current().Counter.Mark(), nd.Current().Counter.Now())
}

// lose makes calls of some kinds have no effect, and no answer, until back is called.
func (nd *node) lose(kinds ...Kind) (back func()) {
	var over atomic.Bool
	nd.filter = func(c *Call) bool {
		lost := !over.Load() && slices.Contains(kinds, c.Kind)
		if lost {
			nd.swallow(c)
		}
		return lost
	}
	return func() { over.Store(true) }
}

// A write that was answered is complete, and no number stays open behind it: of sets, of removes,
// and of requests that end before anything is sent.
func TestAnsweredWritesAreComplete(t *testing.T) {
	for _, n := range []int{1, 2, 3, 5} {
		inMesh(t, n, func(t *testing.T, m *mesh) {
			nd := m.nodes[0]
			for range 3 {
				nd.mustSet("k", "v")
				if nd.open() {
					t.Fatal("open after a set")
				}
				if err := nd.RemoveHere(bg, []byte("k"), kv.Options{}); err != nil {
					t.Fatal(err)
				}
				if nd.open() {
					t.Fatal("open after a remove")
				}
				if err := nd.RemoveHere(bg, []byte("k"), kv.Options{}); !errors.Is(err, kv.ErrMissing) || nd.open() {
					t.Fatalf("remove of nothing: %v, open: %v", err, nd.open())
				}
			}
			nd.filter = unsent
			if _, err := nd.Set(bg, []byte("k"), nil, kv.Options{}); n > 1 && err == nil || nd.open() {
				t.Fatalf("set with nobody there: %v, open: %v", err, nd.open())
			}
		})
	}
}

// L6: a record whose request got no answer holds the watermark back until it is complete. This node
// completes it once the others are there again.
func TestAnUnansweredWriteHoldsTheWatermarkBack(t *testing.T) {
	completing(t, func(t *testing.T, m *mesh, nd *node) {
		nd.down[1].Store(true)
		nd.down[2].Store(true)
		back := nd.lose(Store)
		_, err := nd.Set(bg, []byte("k"), []byte("v"), kv.Options{})
		wantOutcome(t, err, kv.Unknown)
		tag := m.Stores[0].Record("k").Tag
		time.Sleep(10 * time.Second)
		if mark := nd.Current().Counter.Mark(); mark != tag.Counter {
			t.Fatalf("the watermark is %d, and the record %v is at this node alone", mark, tag)
		}
		back()
		nd.mustSet("other", "w")
		if mark := nd.Current().Counter.Mark(); mark > tag.Counter && m.holders("k", tag) < 2 {
			t.Fatalf("the watermark is %d, and %d replicas hold %v", mark, m.holders("k", tag), tag)
		}
		nd.settled(t)
		if m.holders("k", tag) < 2 {
			t.Errorf("%d replicas hold the record", m.holders("k", tag))
		}
	})
}

// What a clear, or a purge, has taken out of the own copy is nowhere, and needs no completing.
func TestAnUnansweredWriteThatWasClearedIsOver(t *testing.T) {
	completing(t, func(t *testing.T, m *mesh, nd *node) {
		nd.down[1].Store(true)
		nd.down[2].Store(true)
		nd.lose(Store)
		_, err := nd.Set(bg, []byte("k"), []byte("v"), kv.Options{})
		wantOutcome(t, err, kv.Unknown)
		m.Stores[0].Hold("k", version.Record{})
		nd.settled(t)
	})
}

// Members that do not know of a clear yet may still read, by a quorum of their own, what it takes
// away. So its number stays open until a majority has gone on to the clear's epoch.
func TestWhatWasClearedIsOverOnceNoQuorumIsBehind(t *testing.T) {
	inMesh(t, 5, func(t *testing.T, m *mesh) {
		nd := m.nodes[0]
		for _, s := range m.Stores {
			s.Merge("k", version.Record{Tag: version.Tag{Counter: 1, Incarnation: 9}, Value: []byte("old")})
		}
		nd.filter = func(c *Call) bool { return c.Kind == Store && c.Member != 1 && fail(c) }
		_, err := nd.Set(bg, []byte("k"), []byte("v"), kv.Options{})
		wantOutcome(t, err, kv.Unknown)
		number := m.Stores[0].Record("k").Number()
		synctest.Wait() // until the second member has it, too
		goOn := func(members ...int) {
			for _, i := range members {
				m.Stores[i].Advance(2, func(version.Record) bool { return false })
			}
		}
		m.Epoch = 2
		goOn(0, 2)
		nd.Install(m.View(0, func(v *replica.View) { v.Generation++ }))
		nd.filter = nil
		defer nd.completes()()
		time.Sleep(10 * time.Second)
		if mark := nd.Current().Counter.Mark(); mark > number.Sequence {
			t.Fatalf("the watermark is %d, and three members may still read record %d", mark, number.Sequence)
		}
		goOn(1)
		nd.settled(t)
	})
}

// A set that asks for one replica is answered before its record is complete, and the record is
// completed all the same.
func TestASetOfOneReplicaIsCompleted(t *testing.T) {
	completing(t, func(t *testing.T, m *mesh, nd *node) {
		back := nd.lose(Store)
		if _, err := nd.Set(bg, []byte("k"), []byte("v"), kv.Options{W: 1}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		if !nd.open() {
			t.Fatal("closed, and one replica holds the record")
		}
		back()
		nd.settled(t)
		if tag := m.Stores[0].Record("k").Tag; m.holders("k", tag) < 2 {
			t.Errorf("%d replicas hold the record", m.holders("k", tag))
		}
	})
}

// L6: a tombstone is confirmed by the number of its remove. Its base was complete long before.
func TestATombstoneIsConfirmedByItsRemove(t *testing.T) {
	completing(t, func(t *testing.T, m *mesh, nd *node) {
		nd.mustSet("k", "v")
		back := nd.lose(Vote)
		err := nd.RemoveHere(bg, []byte("k"), kv.Options{})
		wantOutcome(t, err, kv.Unknown)
		own := m.Stores[0].Record("k")
		if !own.Tag.Removed || nd.Current().Confirmed(own) {
			t.Fatalf("%v, which one replica has voted for, is confirmed", own.Tag)
		}
		back()
		nd.settled(t)
		if own = m.Stores[0].Record("k"); !nd.Current().Confirmed(own) || m.holders("k", own.Tag) < 2 {
			t.Errorf("%v is not confirmed, or %d replicas hold it", own.Tag, m.holders("k", own.Tag))
		}
	})
}

// A tombstone is complete with the votes of a majority, even where fewer replicas make a write
// complete.
func TestATombstoneNeedsAMajority(t *testing.T) {
	completing(t, func(t *testing.T, m *mesh, nd *node) {
		nd.mustSet("k", "v")
		nd.Install(m.View(0, func(v *replica.View) { v.R, v.W = 3, 1 }))
		back := nd.lose(Vote)
		err := nd.RemoveHere(bg, []byte("k"), kv.Options{})
		wantOutcome(t, err, kv.Unknown)
		if own := m.Stores[0].Record("k"); !own.Tag.Removed || nd.Current().Confirmed(own) {
			t.Errorf("%v, which one replica has voted for, is confirmed", own.Tag)
		}
		back()
		nd.settled(t)
	})
}

// A remove that is overtaken before anybody voted starts over, and leaves no number open.
func TestARemoveThatStartsOverLeavesNothingOpen(t *testing.T) {
	inMesh(t, 3, func(t *testing.T, m *mesh) {
		nd := m.nodes[0]
		first := nd.mustSet("k", "v")
		nd.filter = func(c *Call) bool {
			if c.Kind != ReadTag || m.Stores[0].Record("k").Tag != first {
				return false
			}
			for _, s := range m.Stores { // the own copy has told what it holds
				s.Hold("k", version.Record{Tag: version.Tag{Counter: 50, Incarnation: 2}, Value: []byte("w")})
			}
			c.Status = Same
			go c.End()
			return true
		}
		if err := nd.RemoveHere(bg, []byte("k"), kv.Options{}); err != nil {
			t.Fatal(err)
		}
		if own := m.Stores[0].Record("k"); own.Tag.Counter != 50 || !own.Tag.Removed || nd.open() {
			t.Errorf("removed %v, and a number is open: %v", own.Tag, nd.open())
		}
	})
}

// An answer that comes late in the phase before tells nothing of a new number.
func TestANewNumberIsOpen(t *testing.T) {
	inMesh(t, 3, func(t *testing.T, m *mesh) {
		op, err := m.nodes[0].begin([]byte("k"), kv.Options{})
		if err != nil {
			t.Fatal(err)
		}
		op.record = version.Record{Tag: version.Tag{Counter: 1, Incarnation: 9}, Value: []byte("read")}
		if err := op.store(2, nobody, 1); err != nil { // as a read repairs
			t.Fatal(err)
		}
		op.take()
		synctest.Wait() // the third replica answers
		op.mu.Lock()
		op.settleLocked()
		op.mu.Unlock()
		if op.number == nil {
			t.Error("the number was closed, and its record is nowhere")
		}
		op.drop()
		op.finish()
	})
}

// What overrules an import is complete before the import is over, since an earlier attempt may have
// left its record somewhere.
func TestWhatOverrulesAnImportIsComplete(t *testing.T) {
	inMesh(t, 5, func(t *testing.T, m *mesh) {
		nd := m.nodes[0]
		back := nd.lose(Store)
		_, err := nd.Import(bg, []byte("k"), []byte("mine"), 50, kv.Options{})
		wantOutcome(t, err, kv.Unknown)
		theirs := version.Record{Tag: version.Tag{Counter: 60, Incarnation: 9}, Value: []byte("theirs")}
		m.Stores[3].Hold("k", theirs)
		nd.down[1].Store(true) // so that the import meets the one that has it
		nd.down[2].Store(true)
		_, err = nd.Import(bg, []byte("k"), []byte("mine"), 50, kv.Options{})
		wantOutcome(t, err, kv.None)
		back()
		if won, err := nd.Import(bg, []byte("k"), []byte("mine"), 50, kv.Options{}); won || err != nil {
			t.Fatalf("won: %v, %v", won, err)
		}
		if n := m.holders("k", theirs.Tag); n < 3 {
			t.Errorf("the import is over, and %d replicas hold what has overruled it", n)
		}
	})
}

// The end of its context ends the completion, though no peer answers.
func TestCompletingEnds(t *testing.T) {
	inMesh(t, 3, func(t *testing.T, m *mesh) {
		nd := m.nodes[0]
		nd.lose(Store, ReadTag, ReadRecord)
		_, err := nd.Set(bg, []byte("k"), []byte("v"), kv.Options{W: 1})
		wantOutcome(t, err, kv.None)
		nd.lose(Store, ReadRecord)
		nd.down[1].Store(true)
		nd.down[2].Store(true)
		_, err = nd.Set(bg, []byte("k"), []byte("v"), kv.Options{})
		wantOutcome(t, err, kv.Unknown)
		end := nd.completes()
		time.Sleep(100 * time.Millisecond)
		began := time.Now()
		end()
		if took := time.Since(began); took > completeTime {
			t.Errorf("it took %v", took)
		}
	})
}

// While a member is away, sets with w=1 go on that cannot be completed. There is one entry for a
// key, and the watermark stays below all of them. One attempt at a time is made, and no more than
// five a second, whatever the number of keys.
func TestTheBacklogIsBounded(t *testing.T) {
	completing(t, func(t *testing.T, m *mesh, nd *node) {
		nd.Install(m.View(0, func(v *replica.View) { v.R, v.W = 1, 3 }))
		nd.down[2].Store(true)
		var away atomic.Bool
		var attempts atomic.Int32
		away.Store(true)
		nd.filter = func(c *Call) bool {
			if c.Kind == ReadRecord && c.Member == 2 {
				attempts.Add(1)
			}
			return away.Load() && c.Member == 2 && fail(c)
		}
		const keys = 20
		lowest := nd.Current().Counter.Now() + 1
		for i := range 10 * keys {
			if _, err := nd.Set(bg, []byte{byte('a' + i%keys)}, []byte("v"), kv.Options{W: 1}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(10 * time.Second)
		nd.unfinished.mu.Lock()
		n := len(nd.unfinished.keys)
		nd.unfinished.mu.Unlock()
		if mark := nd.Current().Counter.Mark(); n > keys || mark != lowest {
			t.Errorf("%d entries for %d keys, and a watermark of %d where %d is open", n, keys, mark, lowest)
		}
		if a := attempts.Load(); a < 5 || a > 60 {
			t.Errorf("%d attempts in ten seconds", a)
		}
		away.Store(false)
		nd.settled(t)
		if n := m.holders("a", m.Stores[0].Record("a").Tag); n != 3 {
			t.Errorf("%d replicas hold the last value", n)
		}
	})
}

// Records of one key in two clusters are two entries: this node's numbers in one tell nothing of
// its numbers in the other.
func TestTheBacklogKeepsClustersApart(t *testing.T) {
	b, first, second := newBacklog(), new(watermark.Counter), new(watermark.Counter)
	first.Observe(5)
	for _, c := range []*watermark.Counter{first, second, first, second} {
		b.add(unfinished{place{c, "k"}, c.Take()})
	}
	if len(b.keys) != 2 || first.Mark() != 6 || second.Mark() != 1 {
		t.Errorf("%d entries, and watermarks of %d and %d", len(b.keys), first.Mark(), second.Mark())
	}
	for u, ok := b.take(); ok; u, ok = b.take() {
		if want := map[*watermark.Counter]uint64{first: 6, second: 1}[u.at.counter]; u.number.N != want {
			t.Errorf("the lowest number of an entry is %d, want %d", u.number.N, want)
		}
		u.number.Close()
	}
	if first.Mark() != 8 || second.Mark() != 3 {
		t.Errorf("watermarks of %d and %d once all is complete", first.Mark(), second.Mark())
	}
}

// A record that a clear has taken away is open until the epoch of the clear is known to be sealed.
// A member below that epoch may still answer it.
func TestWhatWasClearedIsOpenUntilTheClearIsSealed(t *testing.T) {
	inMesh(t, 3, func(t *testing.T, m *mesh) {
		nd := m.nodes[0]
		u := unfinished{place{nd.Current().Counter, "k"}, nd.Current().Counter.Take()}
		sealed := m.Epoch // the epoch before
		m.Advance(func(v *replica.View) {
			v.Generation, v.Cleared, v.Sealed = 1, m.Epoch, func() version.Epoch { return sealed }
		}, 0, 1, 2)
		if nd.complete(&u) {
			t.Error("closed before the clear is sealed")
		}
		if sealed = m.Epoch; !nd.complete(&u) {
			t.Error("open once the clear is sealed")
		}
	})
}
