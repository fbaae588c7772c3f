package chaos

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"viakv/api/sleep"
	"viakv/bench/check"
)

// The kinds of faults. Those of processKinds change which nodes there are, and keep to X1 and X2.
var (
	processKinds = []string{"kill", "term", "leave", "join"}
	networkKinds = []string{"cut", "isolate", "delay", "reset", "pause"}
	allKinds     = slices.Concat(processKinds, networkKinds)
)

// nemesis injects faults until its context ends, and takes each of them back.
type nemesis struct {
	*Lab
	kinds    []string
	survives int // slots that may be down at once (X1)
	start    time.Time
	log      func(format string, args ...any)
	seed     uint64

	// turn is whose turn it is to be killed, stopped or paused. So a short run meets each node.
	turn atomic.Int64

	// still is above zero while no network fault may begin. A cluster that has not come together
	// for calmAfter gets a network without faults.
	still atomic.Int32

	// Held from looking at the cluster to taking a node down.
	deciding sync.Mutex
	mu       sync.Mutex
	down     map[int]bool // killed and not yet rebuilt
	changing bool         // a node leaves or joins (X2)
	faults   []*check.Fault
	stuck    string // why the cluster did not come together; empty if it always did
}

const (
	rebuiltWithin = 60 * time.Second
	calmAfter     = 10 * time.Second
)

// run injects faults until ctx ends.
func (n *nemesis) run(ctx context.Context) {
	n.down = map[int]bool{}
	var lanes sync.WaitGroup
	if process := n.enabled(processKinds); len(process) > 0 {
		for lane := range max(n.survives, 1) {
			lanes.Go(func() { n.lane(ctx, uint64(lane), process, n.processFault, 300*time.Millisecond, 2*time.Second) })
		}
	}
	if network := n.enabled(networkKinds); len(network) > 0 {
		lanes.Go(func() { n.lane(ctx, 1<<32, network, n.networkFault, 100*time.Millisecond, 1500*time.Millisecond) })
	}
	lanes.Wait()
}

func (n *nemesis) enabled(kinds []string) []string {
	if len(n.kinds) == 0 {
		return kinds
	}
	return slices.DeleteFunc(slices.Clone(kinds), func(k string) bool { return !slices.Contains(n.kinds, k) })
}

// lane injects one fault after another.
func (n *nemesis) lane(ctx context.Context, id uint64, kinds []string, do func(context.Context, *rand.Rand, string), shortest, longest time.Duration) {
	random := rand.New(rand.NewPCG(n.seed, id))
	for sleep.For(ctx, between(random, shortest, longest)) {
		kind := kinds[random.IntN(len(kinds))]
		if random.IntN(2) == 0 {
			kind = kinds[0] // the first of kinds matters most: kill, cut
		}
		do(ctx, random, kind)
	}
}

func between(random *rand.Rand, shortest, longest time.Duration) time.Duration {
	return shortest + time.Duration(random.Int64N(int64(longest-shortest)))
}

// next returns the member whose turn it is.
func (n *nemesis) next() int { return int(uint64(n.turn.Add(1)-1) % uint64(n.members)) }

// The lengths of pauses. Short ones are as frequent as long ones: each has rules of its own, as
// leases that have ended meanwhile, or members that were taken for dead.
const (
	shortestPause = 20 * time.Millisecond
	longestPause  = 10 * time.Second
)

// pauseLength draws how long a node is paused, with the same chance for each factor of the length.
func pauseLength(random *rand.Rand) time.Duration {
	return time.Duration(float64(shortestPause) * math.Pow(float64(longestPause)/float64(shortestPause), random.Float64()))
}

func (n *nemesis) begin(kind string, node int, format string, args ...any) *check.Fault {
	f := &check.Fault{Kind: kind, What: fmt.Sprintf(format, args...), From: time.Since(n.start).Seconds()}
	if node >= 0 {
		f.Node = nodeName(node)
	}
	n.mu.Lock()
	n.faults = append(n.faults, f)
	n.mu.Unlock()
	n.log("%6.1fs  %s", f.From, f.What)
	return f
}

func (n *nemesis) end(f *check.Fault) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f.To = time.Since(n.start).Seconds()
}

// together waits until the cluster is settled but for the excused nodes. If that takes long, it
// lets no new network fault begin. It does not end with the run: a fault that has begun is brought
// to its end.
func (n *nemesis) together(excused ...int) bool {
	ctx, cancel := context.WithTimeout(context.Background(), rebuiltWithin)
	defer cancel()
	calm := time.AfterFunc(calmAfter, func() { n.still.Add(1) })
	defer func() {
		if !calm.Stop() {
			n.still.Add(-1)
		}
	}()
	err := n.Settle(ctx, rebuiltWithin, excused...)
	if err != nil {
		n.mu.Lock()
		if n.stuck == "" {
			n.stuck = err.Error()
		}
		n.mu.Unlock()
		n.log("the cluster does not come together: %v", err)
	}
	return err == nil
}

// othersDown returns the nodes that are down, without the node but.
func (n *nemesis) othersDown(but int) (others []int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for i := range n.down {
		if i != but {
			others = append(others, i)
		}
	}
	return others
}

func (n *nemesis) networkFault(ctx context.Context, random *rand.Rand, kind string) {
	if n.still.Load() > 0 {
		return
	}
	all := len(n.nodes)
	a := random.IntN(n.members)
	b := (a + 1 + random.IntN(n.members)) % all
	length := between(random, 200*time.Millisecond, 4*time.Second)
	var f *check.Fault
	switch kind {
	case "cut":
		f = n.begin(kind, a, "nothing that %s sends reaches %s", nodeName(a), nodeName(b))
		n.Cut(a, b)
	case "isolate":
		f = n.begin(kind, a, "%s is cut off from all others", nodeName(a))
		n.Isolate(a)
	case "delay":
		delay := between(random, 5*time.Millisecond, 300*time.Millisecond)
		f = n.begin(kind, a, "%s is %v away from the others", nodeName(a), delay.Round(time.Millisecond))
		n.Delay(a, delay)
	case "reset":
		length = min(length, time.Second)
		f = n.begin(kind, a, "all connections of %s to others are cut and refused", nodeName(a))
		n.Refuse(a)
	case "pause":
		a, length = n.next(), pauseLength(random)
		f = n.begin(kind, a, "%s is paused for %v", nodeName(a), length.Round(time.Millisecond))
		n.Pause(a)
	}
	sleep.For(ctx, length)
	if kind == "pause" {
		n.Resume(a)
	} else {
		n.Calm() // there is one network fault at a time
	}
	n.end(f)
}
