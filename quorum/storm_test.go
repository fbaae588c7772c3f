package quorum

import (
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"viakv/api/kv"
	"viakv/quorum/lease"
	"viakv/quorum/replica"
	"viakv/quorum/replica/replicatest"
	"viakv/quorum/version"
)

// No read quorum misses what any node knows to be complete, and no node that answers alone does. So
// it is whatever is lost, late, answered by too few or given up, whatever the quorums are, at which
// rates the nodes' clocks go, and while epochs end and a clear is under way. Once all is calm, each
// coordinator has completed all that it had begun.
func TestNoQuorumMissesWhatIsConfirmed(t *testing.T) {
	seeds := uint64(20)
	if testing.Short() {
		seeds = 5
	}
	shapes := []struct{ n, r, w int }{{2, 2, 2}, {3, 2, 2}, {3, 1, 3}, {3, 3, 1}, {4, 3, 3}, {4, 2, 3}, {5, 3, 3}, {5, 4, 2}}
	alone := make([]int, len(shapes))
	for seed := range seeds {
		for i, q := range shapes {
			inMesh(t, q.n, func(t *testing.T, m *mesh) {
				x := &storm{mesh: m, random: rand.New(rand.NewPCG(seed, 1)), r: q.r, w: q.w}
				x.run()
				alone[i] += x.alone
				if t.Failed() {
					t.Fatalf("seed %d, %+v", seed, q)
				}
			})
		}
	}
	for i, n := range alone {
		if n == 0 {
			t.Errorf("%+v: no node was ever alone", shapes[i])
		}
	}
	t.Log("alone: ", alone)
}

// storm is a mesh whose network is bad, with random requests.
type storm struct {
	*mesh
	r, w   int
	random *rand.Rand // of the requests
	calm   atomic.Bool
	rates  []float64 // of the nodes' clocks
	sealed atomic.Uint64
	alone  int // how often a node was seen to be alone
}

var stormKeys = []string{"a", "b"}

func (x *storm) run() {
	network := rand.New(rand.NewPCG(x.random.Uint64(), 2))
	for range x.nodes {
		x.rates = append(x.rates, 0.955+0.09*x.random.Float64())
	}
	for i, nd := range x.nodes {
		nd.Install(x.view(i, 0, 0))
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
	for range 120 {
		x.request()
		time.Sleep(time.Duration(x.random.IntN(1500)) * time.Microsecond)
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

func (x *storm) view(i int, g version.Generation, cleared version.Epoch) *replica.View {
	return x.View(i, func(v *replica.View) {
		v.R, v.W, v.Generation, v.Cleared = x.r, x.w, g, cleared
		v.Sealed = func() version.Epoch { return version.Epoch(x.sealed.Load()) }
		// Only the first view's are used.
		start := time.Now()
		clock := func() time.Duration { return time.Duration(float64(time.Since(start)) * x.rates[i]) }
		v.Given, v.Held = lease.NewGrants(clock, replicatest.Term), lease.NewHeld(clock, replicatest.Term)
	})
}

// lease makes a node ask another one for a lease, over the bad network, and catch up with it.
func (x *storm) lease() {
	h, g := x.random.IntN(len(x.nodes)), x.random.IntN(len(x.nodes))
	late := [3]time.Duration{}
	for i := range late {
		late[i] = time.Duration(x.random.IntN(2000)) * time.Microsecond
		if x.random.IntN(20) == 0 {
			late[i] = time.Duration(x.random.IntN(100)) * time.Millisecond
		}
	}
	go func() {
		holder, grantor := x.nodes[h].Current(), x.nodes[g].Current()
		if h == g || holder.Epoch != grantor.Epoch {
			return
		}
		asked := holder.Held.Ask()
		time.Sleep(late[0])
		session := grantor.Given.Give(holder.Incarnation(), grantor.Epoch)
		has := map[string]version.Record{}
		for key, r := range x.Stores[g].Records() {
			has[key] = r.Clone()
		}
		if x.Stores[g].Epoch() != grantor.Epoch || session == 0 {
			return
		}
		time.Sleep(late[1])
		if holder.Held.Given(grantor.Incarnation(), session, asked) {
			return
		}
		time.Sleep(late[2])
		for key, r := range has {
			if _, err := holder.Store.Put(holder.Epoch, holder.Seed.Hash([]byte(key)), []byte(key), &r); err != nil {
				return
			}
		}
		holder.Held.CaughtUp(grantor.Incarnation(), session)
	}()
}

func (x *storm) request() {
	nd, key := x.nodes[x.random.IntN(len(x.nodes))], []byte(stormKeys[x.random.IntN(len(stormKeys))])
	opt := kv.Options{Deadline: time.Now().Add(time.Duration(1+x.random.IntN(30)) * time.Millisecond)}
	switch what := x.random.IntN(120); {
	case what >= 60:
		x.lease()
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

// nextEpoch takes one member after another to the next epoch, and waits until it is sealed.
func (x *storm) nextEpoch(wipe bool) {
	at := x.nodes[0].Current()
	g, cleared := at.Generation, at.Cleared
	x.Epoch++
	if wipe {
		g, cleared = g+1, x.Epoch
	}
	for i, nd := range x.nodes {
		x.Stores[i].Advance(x.Epoch, func(r version.Record) bool { return r.Tag.Generation >= g })
		nd.Install(x.view(i, g, cleared))
		time.Sleep(time.Duration(x.random.IntN(6000)) * time.Microsecond)
		x.check()
	}
	for quiet := 0; quiet < len(x.nodes)-min(x.r, x.w)+1; {
		time.Sleep(time.Millisecond)
		x.check()
		quiet = 0
		for _, nd := range x.nodes {
			if nd.Current().Given.Quiet(x.Epoch) == 0 {
				quiet++
			}
		}
	}
	x.sealed.Store(uint64(x.Epoch))
}

// check looks whether a quorum of one epoch, or a node that answers alone, misses a record that a
// node at any epoch knows to be complete.
func (x *storm) check() {
	for i, nd := range x.nodes {
		for _, key := range stormKeys {
			for _, s := range x.Stores {
				r := s.Record(key)
				if r.Tag.IsZero() || !nd.Current().Confirmed(r) {
					continue
				}
				miss := 0
				for _, other := range x.Stores {
					if other.Epoch() == s.Epoch() && other.Record(key).Tag.Less(r.Tag) {
						miss++
					}
				}
				if miss >= x.r {
					x.t.Errorf("node %d knows %v of %s to be complete, and %d replicas of epoch %d lack it", i, r.Tag, key, miss, s.Epoch())
				}
				x.checkAlone(key, r.Tag)
			}
		}
	}
}

// checkAlone looks whether a node that answers alone misses a version that is complete.
func (x *storm) checkAlone(key string, complete version.Tag) {
	for h, nd := range x.nodes {
		v := nd.Current()
		if !v.Alone() || complete.Generation < v.Generation || x.Stores[h].Epoch() != v.Epoch {
			continue
		}
		x.alone++
		if own := x.Stores[h].Record(key); own.Tag.Less(complete) {
			x.t.Errorf("node %d answers alone at epoch %d, and has %v of %s instead of %v", h, v.Epoch, own.Tag, key, complete)
		}
	}
}
