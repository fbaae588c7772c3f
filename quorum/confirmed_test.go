package quorum

import (
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"viakv/api/kv"
	"viakv/quorum/replica"
	"viakv/quorum/version"
)

// L7: a read that finds replicas to differ answers at once when one of those that hold the highest
// record knows it to be complete: a peer, or this node itself. The others that were asked get the
// record in the background.
func TestAReadOfAConfirmedRecordWaitsForNobody(t *testing.T) {
	for _, holder := range []int{0, 1} {
		inMesh(t, 5, func(t *testing.T, m *mesh) {
			held := version.Record{Tag: version.Tag{Counter: 7, Incarnation: 9}, Value: []byte("v")}
			m.Stores[holder].Hold("k", held)
			m.nodes[holder].Current().Marks.Learn(9, 8)
			nd := m.nodes[0]
			back := nd.lose(Store)
			began := time.Now()
			nd.wantValue("k", "v")
			if took := time.Since(began); took != 0 {
				t.Errorf("at %d: it took %v", holder, took)
			}
			back()
			m.Stores[0].Hold("k", version.Record{})
			m.Stores[1].Hold("k", held)
			m.nodes[1].Current().Marks.Learn(9, 8)
			nd.wantValue("k", "v")
			synctest.Wait()
			if n := m.holders("k", held.Tag); n != 3 {
				t.Errorf("at %d: %d replicas hold the record, want the three that were asked", holder, n)
			}
		})
	}
}

// A record that no holder knows to be complete is stored at W replicas first, and is known to be
// complete at the reader from then on.
func TestAReadOfAnotherRecordRepairsFirst(t *testing.T) {
	inMesh(t, 5, func(t *testing.T, m *mesh) {
		held := version.Record{Tag: version.Tag{Counter: 7, Incarnation: 9}, Value: []byte("v")}
		m.Stores[1].Hold("k", held)
		nd := m.nodes[0]
		back := nd.lose(Store)
		_, _, err := nd.Get(bg, nil, []byte("k"), kv.Options{})
		wantOutcome(t, err, kv.None)
		back()
		nd.wantValue("k", "v")
		if n := m.holders("k", held.Tag); n < 3 || !nd.Current().Confirmed(&held) {
			t.Errorf("%d replicas hold the record, and the reader knows that it is complete: %v", n, nd.Current().Confirmed(&held))
		}
	})
}

// L7: only a replica that holds the highest record can tell that it is complete. That others know
// of their own records tells nothing.
func TestOnlyAHolderConfirms(t *testing.T) {
	inMesh(t, 5, func(t *testing.T, m *mesh) {
		old := version.Record{Tag: version.Tag{Counter: 7, Incarnation: 9}, Value: []byte("old")}
		for i, s := range m.Stores {
			s.Hold("k", old)
			m.nodes[i].Current().Marks.Learn(9, 8)
		}
		m.Stores[2].Hold("k", version.Record{Tag: version.Tag{Counter: 8, Incarnation: 8}, Value: []byte("new")})
		nd := m.nodes[0]
		nd.lose(Store)
		_, _, err := nd.Get(bg, nil, []byte("k"), kv.Options{})
		wantOutcome(t, err, kv.None)
	})
}

// No read quorum misses what any node knows to be complete, whatever is lost, late, answered by too
// few or given up, whatever the quorums are, and while epochs end and a clear is under way. Once
// all is calm, each coordinator has completed all that it had begun.
func TestNoQuorumMissesWhatIsConfirmed(t *testing.T) {
	seeds := uint64(20)
	if testing.Short() {
		seeds = 5
	}
	for seed := range seeds {
		for _, q := range []struct{ n, r, w int }{{2, 2, 2}, {3, 2, 2}, {3, 1, 3}, {3, 3, 1}, {4, 3, 3}, {4, 2, 3}, {5, 3, 3}, {5, 4, 2}} {
			inMesh(t, q.n, func(t *testing.T, m *mesh) {
				x := &storm{mesh: m, random: rand.New(rand.NewPCG(seed, 1)), r: q.r, w: q.w}
				x.run()
				if t.Failed() {
					t.Fatalf("seed %d, %+v", seed, q)
				}
			})
		}
	}
}

// storm is a mesh whose network is bad, with random requests.
type storm struct {
	*mesh
	r, w   int
	random *rand.Rand // of the requests
	calm   atomic.Bool
}

var stormKeys = []string{"a", "b"}

func (x *storm) run() {
	network := rand.New(rand.NewPCG(x.random.Uint64(), 2))
	for i, nd := range x.nodes {
		nd.Install(x.view(i, 0))
		defer nd.completes()()
		nd.filter = func(c *Call) bool {
			if x.calm.Load() {
				return false
			}
			x.mu.Lock()
			fate, late := network.IntN(12), time.Duration(network.IntN(400))*time.Microsecond
			x.mu.Unlock()
			time.Sleep(late)
			switch fate {
			case 0:
				nd.swallow(c)
				return true
			case 1:
				return fail(c)
			case 2:
				return unsent(c)
			}
			return false
		}
	}
	for range 60 {
		x.request()
		time.Sleep(time.Duration(x.random.IntN(2500)) * time.Microsecond)
		x.check()
	}
	x.calm.Store(true)
	for range 100 {
		time.Sleep(100 * time.Millisecond)
		x.check()
	}
	for i, nd := range x.nodes {
		for u, ok := nd.unfinished.take(); ok; u, ok = nd.unfinished.take() {
			x.t.Errorf("node %d has not completed number %d of %s", i, u.number.N, u.at.key)
		}
	}
}

func (x *storm) view(i int, g version.Generation) *replica.View {
	return x.View(i, func(v *replica.View) { v.R, v.W, v.Generation = x.r, x.w, g })
}

func (x *storm) request() {
	nd, key := x.nodes[x.random.IntN(len(x.nodes))], []byte(stormKeys[x.random.IntN(len(stormKeys))])
	opt := kv.Options{Deadline: time.Now().Add(time.Duration(1+x.random.IntN(30)) * time.Millisecond)}
	switch what := x.random.IntN(60); {
	case what < 20:
		go func() { _, _ = nd.Set(bg, key, fmt.Append(nil, what), opt) }()
	case what < 26:
		opt.W = 1
		go func() { _, _ = nd.Set(bg, key, fmt.Append(nil, what), opt) }()
	case what < 39:
		go func() { _ = nd.RemoveHere(bg, key, opt) }()
	case what < 58:
		go func() { _, _, _ = nd.Get(bg, nil, key, opt) }()
	default:
		x.nextEpoch(what == 59)
	}
}

// nextEpoch takes one member after another to the next epoch.
func (x *storm) nextEpoch(wipe bool) {
	g := x.nodes[0].Current().Generation
	if wipe {
		g++
	}
	x.Epoch++
	for i, nd := range x.nodes {
		x.Stores[i].Advance(x.Epoch, func(r version.Record) bool { return r.Tag.Generation >= g })
		nd.Install(x.view(i, g))
		time.Sleep(time.Duration(x.random.IntN(6000)) * time.Microsecond)
		x.check()
	}
}

// check looks whether a quorum of one epoch misses a record that a node at any epoch knows to be
// complete.
func (x *storm) check() {
	for i, nd := range x.nodes {
		for _, key := range stormKeys {
			for _, s := range x.Stores {
				r, miss := s.Record(key), 0
				if r.Tag.IsZero() || !nd.Current().Confirmed(r) {
					continue
				}
				for _, other := range x.Stores {
					if other.Epoch() == s.Epoch() && other.Record(key).Tag.Less(r.Tag) {
						miss++
					}
				}
				if miss >= x.r {
					x.t.Errorf("node %d knows %v of %s to be complete, and %d replicas of epoch %d lack it", i, r.Tag, key, miss, s.Epoch())
				}
			}
		}
	}
}
