package topology

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"viakv/node/transport/simnet"
)

// A storm is a random sequence of lost and repeated messages, heavy delays, crashes, cuts, joins,
// leaves, clears and purges, and then calm. The hosts check E1, E2 and M5 all the time. At the end
// all live processes must agree. VIAKV_SEEDS sets the number of storms; the default is 6.
func TestStorms(t *testing.T) {
	n := 6
	if s, err := strconv.Atoi(os.Getenv("VIAKV_SEEDS")); err == nil {
		n = s
	}
	for seed := range uint64(n) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				delay := simnet.Calm
				if seed%2 == 1 {
					delay = simnet.Harsh
				}
				w := newWorld(t)
				w.sim = simnet.New(simnet.Config{Seed: seed, Loss: 0.02, Duplicate: 0.03, Delay: delay})
				w.boots = seed << 16
				w.term = 100 * time.Millisecond
				defer w.stop()
				storm(w, rand.New(rand.NewPCG(seed, 99)))
			})
		})
	}
}

// storm runs one storm, and fails the test unless all nodes agree after it.
func storm(w *world, r *rand.Rand) {
	first := seeds(five...)
	nodes := map[string]*process{}
	for _, name := range five {
		nodes[name] = w.start(name, first)
	}
	down := map[string]bool{}
	// The founding ends before anything dies: until then there is nothing to lose.
	w.until("founded", 60*time.Second, func() bool {
		for _, p := range nodes {
			if p.m.current() == nil {
				return false
			}
		}
		return true
	})
	// Each round draws a node and something that happens to it.
	pick := func() (string, *process) {
		names := slices.Sorted(maps.Keys(nodes))
		name := names[r.IntN(len(names))]
		return name, nodes[name]
	}
	joined := 0
	for range 60 {
		time.Sleep(time.Duration(r.Int64N(int64(800 * time.Millisecond))))
		name, p := pick()
		// Many members have given leases when something happens.
		for _, name := range slices.Sorted(maps.Keys(nodes)) {
			if q := nodes[name]; q.m.current() != nil && r.IntN(2) == 0 {
				q.give(q.m.current().Epoch, w.term)
			}
		}
		// How many slots are vacant, and how many members the newest epoch has.
		vacant, size := len(down), 0
		for _, q := range nodes {
			if t := q.m.current(); t != nil {
				size = max(size, int(t.Epoch)<<8|t.N())
			}
		}
		size &= 255 // of the newest epoch
		for _, q := range nodes {
			if !q.over() && q.m.Status().State != stateActive {
				vacant++
			}
		}
		switch x := r.Float64(); {
		case x < 0.25 && vacant == 0 && size > 2: // two members could not agree after losing one
			p.crash()
			down[name] = true
		case x < 0.45:
			for name := range down {
				nodes[name] = w.start(name, first)
				delete(down, name)
				break
			}
		case x < 0.6:
			for other := range nodes {
				w.sim.Cut(address(name), address(other))
				if r.IntN(2) == 0 {
					w.sim.Cut(address(other), address(name))
				}
			}
			time.Sleep(time.Duration(r.Int64N(int64(2 * time.Second))))
			for other := range nodes {
				w.sim.Heal(address(name), address(other))
				w.sim.Heal(address(other), address(name))
			}
		case x < 0.7 && joined < 3 && vacant == 0:
			joined++
			name := fmt.Sprintf("j%d", joined)
			nodes[name] = w.start(name, first)
		// A seed must stay: otherwise the seeds would found a new cluster.
		case x < 0.76 && vacant == 0 && size > 3 && name > "b":
			go func() { _, _ = p.m.Leave(w.ctx(3*time.Second), "", false) }()
		case x < 0.88:
			go func() { _, _ = p.m.Clear(w.ctx(2 * time.Second)) }()
		default:
			list := r.Uint64()
			go func() {
				if t := p.m.current(); t != nil {
					_ = p.m.Purge(w.ctx(2*time.Second), list, t.Epoch)
				}
			}()
		}
	}
	// Calm: the network heals, and the nodes that are down start again.
	w.sim.HealAll()
	for name := range down {
		nodes[name] = w.start(name, first)
	}
	var calm *Topology
	w.until("calm after the storm", 120*time.Second, func() bool {
		var all []*process
		for name, p := range nodes {
			if p.over() { // it has left or was given up: a new membership enters by the seeds
				nodes[name] = w.start(name, first)
				return false
			}
			all = append(all, p)
		}
		calm = all[0].m.current()
		if calm == nil || calm.N() != len(all) || calm.Change != nil || calm.Joining != nil || calm.active() != len(all) {
			return false
		}
		for _, p := range all {
			o := p.m.current()
			if o == nil || o.Epoch != calm.Epoch || o.Cluster != calm.Cluster {
				return false
			}
		}
		return votersOf(all) == len(all)
	})
	if len(w.documents) != 1 {
		w.Errorf("%d clusters", len(w.documents))
	}
	w.Logf("epoch %d, generation %d, %d purges, %d slots, %d processes", calm.Epoch, calm.Generation, calm.Purge, calm.N(), len(w.processes))
}
