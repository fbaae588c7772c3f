package quorum

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"viakv/api/kv"
	"viakv/quorum/replica"
	"viakv/quorum/version"
)

var bg = context.Background()

func (nd *node) mustSet(key, value string) version.Tag {
	nd.m.t.Helper()
	tag, err := nd.Set(bg, []byte(key), []byte(value), kv.Options{})
	if err != nil {
		nd.m.t.Fatalf("set %s=%s: %v", key, value, err)
	}
	return tag
}

func (nd *node) wantValue(key, want string) {
	nd.m.t.Helper()
	got, _, err := nd.Get(bg, nil, []byte(key), kv.Options{})
	if err != nil || string(got) != want {
		nd.m.t.Fatalf("get %s: %q, %v, want %q", key, got, err, want)
	}
}

func wantOutcome(t *testing.T, err error, want kv.Outcome) *kv.Unavailable {
	t.Helper()
	var u *kv.Unavailable
	if !errors.As(err, &u) || u.Outcome != want {
		t.Fatalf("%v, want unavailable with outcome %v", err, want)
	}
	return u
}

// eventually polls a condition that comes true in the background of an answered request.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

func TestEveryNodeReadsWhatAnyWrote(t *testing.T) {
	for _, n := range []int{1, 2, 3, 4, 5} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			m := newMesh(t, n)
			for i, w := range m.nodes {
				last := w.mustSet("k", fmt.Sprint("v", i))
				for _, r := range m.nodes {
					r.wantValue("k", fmt.Sprint("v", i))
					if tag, err := r.Has(bg, []byte("k"), kv.Options{}); err != nil || tag != last {
						t.Fatalf("has: %v, %v, want %v", tag, err, last)
					}
				}
			}
			for i := range m.nodes {
				key := []byte(fmt.Sprint("r", i))
				m.nodes[0].mustSet(string(key), "x")
				if err := m.nodes[i].Remove(bg, key, kv.Options{}); err != nil {
					t.Fatalf("remove at %d: %v", i, err)
				}
				for _, r := range m.nodes {
					if _, err := r.Has(bg, key, kv.Options{}); !errors.Is(err, kv.ErrMissing) {
						t.Fatalf("removed key: %v", err)
					}
					if err := r.Remove(bg, key, kv.Options{}); !errors.Is(err, kv.ErrMissing) {
						t.Fatalf("second remove: %v", err)
					}
				}
			}
		})
	}
}

func TestReadRepairsBeforeItAnswers(t *testing.T) {
	m := newMesh(t, 3)
	// This write has reached one replica only.
	m.Stores[1].Hold("k", version.Record{Tag: version.Tag{Counter: 7, Incarnation: 2}, Value: []byte("half")})
	m.nodes[0].wantValue("k", "half") // the node asks its neighbour and finds that they differ
	if got := m.Stores[0].Record("k"); string(got.Value) != "half" {
		t.Fatalf("answered with the record at one replica only; own copy: %v", got.Tag)
	}
	if s := m.nodes[0].Stats(); s.Repaired != 1 {
		t.Fatalf("%+v", s)
	}
}

func TestAgreeingReadNeedsOnePeer(t *testing.T) {
	m := newMesh(t, 3)
	m.nodes[0].mustSet("k", "v")
	eventually(t, "all have it", func() bool { return m.Stores[1].Record("k").Live() && m.Stores[2].Record("k").Live() })
	var calls atomic.Int32
	m.nodes[0].filter = func(c *Call) bool {
		calls.Add(1)
		if c.Member != 1 {
			t.Errorf("asked member %d, want the ring neighbour", c.Member)
		}
		return false
	}
	m.nodes[0].wantValue("k", "v")
	if calls.Load() != 1 {
		t.Fatalf("%d calls", calls.Load())
	}
}

func TestStalledNeighbourIsHedged(t *testing.T) {
	inMesh(t, 3, func(t *testing.T, m *mesh) {
		m.nodes[0].mustSet("k", "v")
		nd := m.nodes[0]
		nd.silence(1)
		nd.wantValue("k", "v")
		if nd.Stats().Hedged == 0 {
			t.Fatal("not hedged")
		}
		nd.mustSet("k", "w")
		eventually(t, "a hint for the stalled member", func() bool {
			m.mu.Lock()
			defer m.mu.Unlock()
			return strings.Join(m.misses, " ") == "nb/k"
		})
	})
}

func TestLostReplicaIsReplacedAtOnce(t *testing.T) {
	m := newMesh(t, 3)
	m.nodes[0].cfg.HedgeAfter = time.Hour
	m.nodes[0].filter = func(c *Call) bool { return c.Member == 1 && fail(c) }
	m.nodes[0].mustSet("k", "v")
	m.nodes[0].wantValue("k", "v")
}

func TestWithoutQuorum(t *testing.T) {
	m := newMesh(t, 3)
	m.nodes[0].mustSet("k", "v")
	m.nodes[0].filter = unsent
	_, _, err := m.nodes[0].Get(bg, nil, []byte("k"), kv.Options{})
	if u := wantOutcome(t, err, kv.None); !strings.Contains(u.Reason, "down") || !errors.Is(err, kv.ErrTooFewReplicas) {
		t.Fatalf("the reason does not name the cause: %v", err)
	}
	_, err = m.nodes[0].Set(bg, []byte("k"), []byte("w"), kv.Options{})
	wantOutcome(t, err, kv.None)
	m.nodes[0].filter = fail // a peer that may have been reached was asked a question only
	_, err = m.nodes[0].Set(bg, []byte("k"), []byte("w"), kv.Options{})
	wantOutcome(t, err, kv.None)

	m.nodes[0].filter = func(c *Call) bool { return c.Kind == Store && fail(c) }
	_, err = m.nodes[0].Set(bg, []byte("k"), []byte("w"), kv.Options{})
	wantOutcome(t, err, kv.Unknown)
	eventually(t, "hints for both", func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		return len(m.misses) == 2
	})
}

func TestDeadline(t *testing.T) {
	m := newMesh(t, 3)
	nd := m.nodes[0]
	nd.filter = func(c *Call) bool { nd.swallow(c); return true }
	began := time.Now()
	_, err := nd.Has(bg, []byte("k"), kv.Options{Deadline: began.Add(30 * time.Millisecond)})
	wantOutcome(t, err, kv.None)
	if took := time.Since(began); took < 30*time.Millisecond || took > time.Second {
		t.Fatalf("took %v", took)
	}
}

func TestQuorumParameters(t *testing.T) {
	m := newMesh(t, 3)
	m.nodes[0].mustSet("k", "v")
	for _, q := range []kv.Quorum{4, -3} {
		var bad *kv.ArgumentError
		if _, err := m.nodes[0].Has(bg, []byte("k"), kv.Options{R: q}); !errors.As(err, &bad) || bad.Parameter != "r" {
			t.Errorf("r=%d: %v", q, err)
		}
		if _, err := m.nodes[0].Set(bg, []byte("k"), nil, kv.Options{W: q}); !errors.As(err, &bad) || bad.Parameter != "w" {
			t.Errorf("w=%d: %v", q, err)
		}
	}
	m.nodes[0].filter = fail
	if _, err := m.nodes[0].Has(bg, []byte("k"), kv.Options{R: 1}); err != nil {
		t.Errorf("r=1 asks nobody else: %v", err)
	}
	// With r=1 and w=all the promise holds: a read answers only what all replicas hold.
	if _, err := m.nodes[0].Has(bg, []byte("k"), kv.Options{R: 1, W: kv.QuorumAll}); err == nil {
		t.Error("r=1, w=all answered without the others")
	}
}

func TestFullReplicaRefusesBeforeTheWrite(t *testing.T) {
	m := newMesh(t, 3)
	m.Stores[1].SetFull(true)
	if _, err := m.nodes[0].Set(bg, []byte("k"), []byte("v"), kv.Options{}); !errors.Is(err, kv.ErrMemoryLimit) {
		t.Fatal(err)
	}
	for i, r := range m.Stores {
		if r.Len() != 0 {
			t.Errorf("replica %d stored something", i)
		}
	}
}

func TestConflictsAreCountedAndSettled(t *testing.T) {
	m := newMesh(t, 3)
	m.Stores[0].Hold("k", version.Record{Tag: version.Tag{Counter: 5, Incarnation: 1}, Value: []byte("a")})
	m.Stores[1].Hold("k", version.Record{Tag: version.Tag{Counter: 5, Incarnation: 2}, Value: []byte("b")})
	m.nodes[0].wantValue("k", "b")
	if s := m.nodes[0].Stats(); s.Conflicts != 1 {
		t.Fatalf("%+v", s)
	}
	m.nodes[0].mustSet("k", "c")
	rec := m.Stores[0].Record("k")
	if got := rec.Vector.Counter(2); got != 5 {
		t.Fatalf("the overwrite has seen %v", rec.Vector)
	}
}

func TestPendingMembersGetWritesAndCountNothing(t *testing.T) {
	m := newMesh(t, 3)
	vacate := func(v *replica.View) { v.Members[1].Incarnation, v.Members[1].Pending = 0, 9 }
	m.Advance(vacate, 0)
	m.nodes[0].mustSet("k", "v")
	eventually(t, "the pending member has it", func() bool { return m.Stores[1].Record("k").Live() })
	m.nodes[0].filter = func(c *Call) bool { return c.Member == 2 && unsent(c) }
	_, err := m.nodes[0].Set(bg, []byte("k"), []byte("w"), kv.Options{})
	wantOutcome(t, err, kv.None)
}

func TestImport(t *testing.T) {
	m := newMesh(t, 3)
	if won, err := m.nodes[0].Import(bg, []byte("new"), []byte("old-cluster"), 3, kv.Options{}); !won || err != nil {
		t.Fatal(won, err)
	}
	m.nodes[1].wantValue("new", "old-cluster")
	for range 5 {
		m.nodes[1].mustSet("both", "here")
	}
	if won, err := m.nodes[0].Import(bg, []byte("both"), []byte("there"), 3, kv.Options{}); won || err != nil {
		t.Fatal(won, err)
	}
	m.nodes[2].wantValue("both", "here")
	if won, err := m.nodes[0].Import(bg, []byte("both"), []byte("there"), 30, kv.Options{}); !won || err != nil {
		t.Fatal(won, err)
	}
	m.nodes[2].wantValue("both", "there")
	if c := m.nodes[0].Stats().Conflicts; c != 2 {
		t.Fatalf("%d conflicts", c)
	}
}

func TestNotServing(t *testing.T) {
	m := newMesh(t, 3)
	m.nodes[0].Install(m.View(0, func(v *replica.View) { v.Members[0].Incarnation = 0 }))
	_, err := m.nodes[0].Set(bg, []byte("k"), nil, kv.Options{})
	wantOutcome(t, err, kv.None)
	m.nodes[0].Install(nil)
	_, err = m.nodes[0].Has(bg, []byte("k"), kv.Options{})
	wantOutcome(t, err, kv.None)
}

// An operation returns to its pool exactly once, whichever way it ends.
func TestOperationsSurviveChaos(t *testing.T) {
	m := newMesh(t, 3)
	var wg sync.WaitGroup
	var answered sync.Map // the values of sets
	for i := range 3 {
		nd := m.nodes[i]
		var n atomic.Uint64
		// Of seven calls one fails and one is never answered.
		nd.filter = func(c *Call) bool {
			switch n.Add(1) % 7 {
			case 0:
				return fail(c)
			case 1:
				nd.swallow(c)
				return true
			}
			return false
		}
		// Four goroutines at each node mix sets, gets and removes.
		for w := range 4 {
			wg.Add(1)
			go func() {
				defer wg.Done()
				for j := range 100 {
					key, value := fmt.Sprint("k", j%5), fmt.Sprint(i, w, j)
					o := kv.Options{Deadline: time.Now().Add(20 * time.Millisecond)}
					switch j % 3 {
					case 0:
						if _, err := nd.Set(bg, []byte(key), []byte(value), o); err == nil {
							answered.Store(value, true)
						}
					case 1:
						_, _, _ = nd.Get(bg, nil, []byte(key), o)
					default:
						_ = nd.RemoveHere(bg, []byte(key), o)
					}
				}
			}()
		}
	}
	wg.Wait()
	// Afterwards the operations in the pools must still work.
	for _, nd := range m.nodes {
		nd.filter = nil
	}
	m.nodes[0].mustSet("new", "end")
	m.nodes[1].wantValue("new", "end")
	// A set whose outcome is unknown may still take effect, above a later one. One that was
	// answered may not.
	m.nodes[0].mustSet("k0", "end")
	value, _, err := m.nodes[1].Get(bg, nil, []byte("k0"), kv.Options{})
	if _, before := answered.Load(string(value)); err != nil || before {
		t.Errorf("get k0: %q, %v, but a set of %q was answered later", value, err, "end")
	}
}

// D2: a write whose epoch ends before its write phase asks again. Writes that overlap it may be
// ordered before or after it. But here this write is the last to be answered, and what it finds
// when it asks again goes below it. With three nodes the write asks one peer, and with five two.
func TestEpochEndsBeforeTheWriteIsMade(t *testing.T) {
	for n, asked := range map[int]int{3: 1, 5: 2} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			m := newMesh(t, n)
			nd := m.nodes[0]
			questions := 0
			nd.filter = func(c *Call) bool {
				if c.Kind != ReadTag || questions == asked {
					return false
				}
				if questions++; questions == asked {
					m.Advance(nil, []int{0, 1, 2, 3, 4}[:n]...)
					newer := version.Record{Tag: version.Tag{Counter: 1000, Incarnation: 2}, Value: []byte("newer")}
					for _, r := range m.Stores[1:] {
						if _, err := r.Put(m.Epoch, 0, []byte("k"), &newer); err != nil {
							t.Error(err)
						}
					}
				}
				c.Status = OK // at the epoch that has just ended; the replica held nothing
				go c.End()
				return true
			}
			nd.mustSet("k", "v")
			if questions != asked {
				t.Errorf("%d questions at the first epoch", questions)
			}
			m.nodes[1].wantValue("k", "v")
		})
	}
}
