package simulation

import (
	"cmp"
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"viakv/api/kv"
	"viakv/node/transport/simnet"
)

var (
	oneSeed = flag.Uint64("sim.seed", 0, "run this seed only")
	only    = flag.String("sim.shape", "", "run this shape only")
	runFor  = flag.Duration("sim.for", 0, "run as many seeds as fit in this real time")
	perTest = flag.Int("sim.seeds", 4, "seeds of each shape")
	verbose = flag.Bool("sim.log", false, "log what the nodes log")
)

// shape is one kind of run.
type shape struct {
	name        string
	nodes       int
	least, most int  // sizes between which nodes join and leave; zero: no node does
	harsh       bool // the network has long delays and more losses
	mix         mix
	keys        int
	think       int // at most so many milliseconds between two requests of a client; 0: 80

	r, w     kv.Quorum // of the cluster; zero: majorities
	reads    kv.Reads  // how the cluster reads at first; empty: by leases
	stalls   bool      // threads stall after they have looked at their node's clock
	switches bool      // the cluster is told to read by leases or by quorums, in turns
	follow   bool      // a client that has set a key reads it at once at all nodes
	// clocks says that the clocks of nodes stop and jump, too. Then only what rests on no clock has
	// to be legal: acknowledged writes, and reads that ask for a quorum.
	clocks bool
}

var shapes = []shape{
	{name: "three", nodes: 3, mix: mix{set: 25, remove: 15, scan: 4, wipe: 0}, keys: 4},
	{name: "three-harsh", nodes: 3, harsh: true, mix: mix{set: 25, remove: 15, scan: 4, wipe: 1}, keys: 3},
	{name: "three-removes", nodes: 3, harsh: true, mix: mix{set: 20, remove: 50}, keys: 2},
	{name: "contended", nodes: 3, harsh: true, mix: mix{set: 40, remove: 3}, keys: 1, think: 8},
	{name: "five", nodes: 5, mix: mix{set: 25, remove: 15, wipe: 1, quorums: 20}, keys: 4},
	{name: "resize", nodes: 3, least: 3, most: 5, mix: mix{set: 25, remove: 15, wipe: 1}, keys: 4},
	{name: "three-quorums", nodes: 3, harsh: true, mix: mix{set: 30, remove: 10, scan: 4, quorums: 60}, keys: 2, think: 30},
	{name: "two", nodes: 2, harsh: true, mix: mix{set: 30, remove: 10, quorums: 30}, keys: 2, think: 30},
	{name: "four", nodes: 4, harsh: true, mix: mix{set: 30, remove: 10, scan: 4, wipe: 1, quorums: 30}, keys: 2, think: 30},
	{name: "resize-small", nodes: 1, least: 1, most: 3, mix: mix{set: 30, remove: 10, quorums: 30}, keys: 3, think: 30},
	{name: "resize-even", nodes: 4, least: 2, most: 5, mix: mix{set: 30, remove: 10, scan: 4, wipe: 1, quorums: 30}, keys: 3, think: 30},
	{name: "hot", nodes: 3, stalls: true, follow: true, mix: mix{set: 6, remove: 2, scan: 4}, keys: 2, think: 12},
	{name: "hot-two", nodes: 2, stalls: true, follow: true, switches: true, mix: mix{set: 8, remove: 3, scan: 4}, keys: 2, think: 12},
	{name: "hot-harsh", nodes: 3, harsh: true, stalls: true, follow: true, switches: true, mix: mix{set: 8, remove: 3, scan: 4, wipe: 1, many: 20}, keys: 2, think: 12},
	{name: "hot-four", nodes: 4, stalls: true, follow: true, mix: mix{set: 8, remove: 2, scan: 4, wipe: 1, many: 20}, keys: 2, think: 12, r: 2, w: 3},
	{name: "hot-five", nodes: 5, harsh: true, stalls: true, follow: true, mix: mix{set: 6, remove: 2}, keys: 2, think: 12},
	{name: "hot-resize", nodes: 3, least: 2, most: 5, stalls: true, follow: true, switches: true, mix: mix{set: 6, remove: 2, scan: 4, wipe: 1, many: 20}, keys: 2, think: 12},
	{name: "resize-quorums", nodes: 3, least: 3, most: 4, harsh: true, stalls: true, follow: true, mix: mix{set: 15, remove: 5, scan: 4, quorums: 30, many: 20}, keys: 2, think: 20, r: 2, w: 3},
	{name: "resize-write-all", nodes: 3, least: 2, most: 4, stalls: true, follow: true, mix: mix{set: 15, remove: 5, wipe: 1, scan: 4}, keys: 2, think: 20, r: 1, w: kv.QuorumAll},
	{name: "bursts", nodes: 3, harsh: true, stalls: true, follow: true, mix: mix{set: 4, burst: 6, remove: 4, scan: 4, wipe: 1}, keys: 6, think: 30},
	{name: "bursts-resize", nodes: 3, least: 2, most: 5, stalls: true, follow: true, switches: true, mix: mix{set: 4, burst: 6, remove: 4, scan: 4, wipe: 1}, keys: 6, think: 30},
	{name: "bursts-hot", nodes: 4, harsh: true, stalls: true, follow: true, mix: mix{set: 4, burst: 4, remove: 4}, keys: 2, think: 40, r: 2, w: 3},
	{name: "batches", nodes: 3, harsh: true, stalls: true, follow: true, mix: mix{set: 4, batch: 8, remove: 4, scan: 4, wipe: 1, many: 15}, keys: 8, think: 30},
	{name: "batches-large", nodes: 3, stalls: true, follow: true, mix: mix{batch: 12, remove: 8, scan: 8, wipe: 1, quorums: 20, many: 15}, keys: 40, think: 30},
	{name: "batches-contended", nodes: 3, harsh: true, stalls: true, mix: mix{batch: 80, remove: 3, scan: 4, many: 8}, keys: 6, think: 3},
	{name: "batches-asking", nodes: 3, harsh: true, follow: true, reads: kv.ReadsQuorum, mix: mix{set: 4, batch: 8, remove: 4, scan: 4, wipe: 1, quorums: 20, many: 30}, keys: 8, think: 30},
	{name: "batches-resize", nodes: 3, least: 2, most: 5, stalls: true, follow: true, switches: true, mix: mix{set: 4, batch: 8, remove: 4, scan: 4, wipe: 1, quorums: 20, many: 15}, keys: 8, think: 30},
	{name: "batches-quorums", nodes: 3, least: 3, most: 4, harsh: true, stalls: true, follow: true, mix: mix{batch: 8, remove: 4, scan: 4, wipe: 1, quorums: 30, many: 15}, keys: 3, think: 30, r: 2, w: 3},
	{name: "batches-write-all", nodes: 3, least: 2, most: 4, stalls: true, follow: true, mix: mix{batch: 8, remove: 4, scan: 4, wipe: 1, many: 15}, keys: 6, think: 30, r: 1, w: kv.QuorumAll},
	{name: "clocks", nodes: 3, clocks: true, follow: true, mix: mix{set: 30, remove: 5, scan: 4}, keys: 2, think: 12},
	{name: "clocks-bursts", nodes: 3, clocks: true, follow: true, mix: mix{burst: 8, remove: 4, scan: 4}, keys: 5, think: 30},
	{name: "clocks-batches", nodes: 3, harsh: true, clocks: true, mix: mix{batch: 60, remove: 3, scan: 4, many: 15}, keys: 6, think: 8},
	{name: "clocks-resize", nodes: 3, least: 3, most: 5, harsh: true, clocks: true, follow: true, mix: mix{set: 30, remove: 5, wipe: 1}, keys: 2, think: 12},
}

// Times of one run, in virtual time.
const (
	formTime   = 20 * time.Second
	faultTime  = 20 * time.Second
	repairTime = 60 * time.Second
)

func TestSimulation(t *testing.T) {
	if *oneSeed != 0 {
		for _, s := range shapes {
			if *only != "" && s.name != *only {
				continue
			}
			t.Run(fmt.Sprintf("%s/%d", s.name, *oneSeed), func(t *testing.T) { simulate(t, s, *oneSeed) })
		}
		return
	}
	// Run as many seeds of every shape as fit in the time, or a fixed number.
	seeds := *perTest
	if testing.Short() {
		seeds = (seeds + 1) / 2
	}
	began := time.Now()
	for i := 0; ; i++ {
		if *runFor > 0 && time.Since(began) > *runFor || *runFor == 0 && i >= seeds {
			return
		}
		for _, s := range shapes {
			if *only != "" && s.name != *only {
				continue
			}
			seed := uint64(i + 1)
			if *runFor > 0 {
				seed = uint64(began.UnixNano()) + uint64(i)
			}
			if !t.Run(fmt.Sprintf("%s/%d", s.name, seed), func(t *testing.T) { simulate(t, s, seed) }) {
				return
			}
		}
	}
}

// simulate runs one seed. A cluster forms, is broken while clients use it, and heals. It must then
// be whole and equal, and its history must be legal.
func simulate(t *testing.T, s shape, seed uint64) {
	h, n := newHistory(), new(nemesis)
	defer func() { // a failed bubble ends this test at once
		if t.Failed() {
			for _, line := range n.log {
				t.Log(line)
			}
		}
	}()
	synctest.Test(t, func(t *testing.T) {
		h.began = time.Now() // virtual
		cfg := simnet.Config{Seed: seed, Loss: 0.01, Duplicate: 0.03}
		if s.harsh {
			cfg.Delay, cfg.Loss = simnet.Harsh, 0.02
		}
		watch := newWatch(t)
		cfg.Observe = watch.see
		var names []string
		for i := range s.nodes {
			names = append(names, string(rune('a'+i)))
		}
		c := newCluster(t, simnet.New(cfg), s, seed, names...)
		defer c.stop()
		if !c.await("formed", formTime, func() bool { return c.whole(s.nodes) }) {
			return
		}
		c.id = c.newest().Cluster
		w := &clients{c: c, h: h, watch: watch, cluster: c.id, shape: s, think: cmp.Or(s.think, 80), stop: make(chan struct{})}
		w.start(4, seed)
		n = &nemesis{c: c, r: rand.New(rand.NewPCG(seed, 2)), shape: s}
		n.run(time.Now().Add(faultTime))
		c.await("whole again", repairTime, func() bool { return c.whole(c.newest().N) })
		time.Sleep(time.Second)
		w.end()
		c.await("equal", repairTime, c.equal)
		if testing.Verbose() {
			t.Logf("%v of virtual time, %v, epoch %d, %s", time.Since(epoch).Round(time.Millisecond), h.counts, c.newest().Epoch, c.leases())
		}
	})
	// The history is checked outside the bubble: the search for an order may take long, and virtual
	// time stands still meanwhile.
	h.check(t, seed)
}
