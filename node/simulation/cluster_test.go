package simulation

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"viakv/api/kv"
	"viakv/node"
	"viakv/node/transport"
	"viakv/node/transport/simnet"
)

// cluster is a set of processes that can be started and killed.
type cluster struct {
	t      testing.TB
	net    *simnet.Network
	random *rand.Rand
	seeds  []transport.Address
	log    *zap.Logger
	id     string // the cluster's ID once it has formed; a node that has not joined is a cluster of its own
	shape  shape

	dying sync.WaitGroup // killed processes whose goroutines have not ended

	mu        sync.Mutex
	processes map[string]*process
}

// process is one boot of a node.
type process struct {
	name   string
	node   *node.Node
	clock  *clock
	cancel context.CancelFunc
	ended  chan struct{}
	dead   chan struct{} // closed at the kill; what the process answers afterwards reaches no client
	paused atomic.Bool
}

func newCluster(t testing.TB, net *simnet.Network, s shape, seed uint64, names ...string) *cluster {
	c := &cluster{t: t, net: net, shape: s, random: rand.New(rand.NewPCG(seed, 1)), processes: map[string]*process{}, log: zap.NewNop()}
	if *verbose {
		c.log = zaptest.NewLogger(t, zaptest.Level(zap.InfoLevel))
	}
	for _, n := range names {
		c.seeds = append(c.seeds, address(n))
	}
	for _, n := range names {
		c.start(n, c.seeds)
	}
	return c
}

func address(name string) transport.Address { return transport.Address(name + ":9080") }

// start starts a node with an empty memory.
func (c *cluster) start(name string, seeds []transport.Address) *process {
	p := &process{name: name, ended: make(chan struct{}), dead: make(chan struct{})}
	p.clock = newClock(rand.New(rand.NewPCG(c.random.Uint64(), c.random.Uint64())), c.shape.stalls)
	n, err := node.New(node.Config{
		Name: name, HTTP: name + ":8080", Peer: address(name), Seeds: seeds, Logger: c.log.Named(name),
		Random: rand.New(rand.NewPCG(c.random.Uint64(), c.random.Uint64())), Timeout: 500 * time.Millisecond,
		ReadQuorum: c.shape.r, WriteQuorum: c.shape.w, Reads: c.shape.reads, Clock: p.clock.read,
		NewTransport: func(h transport.Handler) (transport.Transport, error) { return c.net.Node(address(name), h), nil },
	})
	if err != nil {
		c.t.Fatal(err)
	}
	p.node = n
	ctx, cancel := context.WithCancel(context.Background())
	p.cancel = cancel
	go func() {
		defer close(p.ended)
		if err := n.Run(ctx); err != nil {
			c.t.Errorf("%s: %v", name, err)
		}
	}()
	c.mu.Lock()
	c.processes[name] = p
	c.mu.Unlock()
	return p
}

// retire stops a process as SIGTERM does, and returns when it has ended.
func (c *cluster) retire(name string) {
	c.mu.Lock()
	p := c.processes[name]
	delete(c.processes, name)
	c.mu.Unlock()
	p.cancel()
	<-p.ended
	c.net.Kill(address(name))
	close(p.dead)
}

// kill ends a process as kill -9 does: from one moment to the next, nothing that it sends arrives.
func (c *cluster) kill(name string) {
	c.mu.Lock()
	p := c.processes[name]
	delete(c.processes, name)
	c.mu.Unlock()
	c.net.Kill(address(name))
	close(p.dead)
	p.cancel()
	c.dying.Go(func() { <-p.ended })
}

func (c *cluster) stop() {
	for _, p := range c.running() {
		c.kill(p.name)
	}
	c.dying.Wait()
}

func (c *cluster) running() []*process {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Collect(maps.Values(c.processes))
}

func (c *cluster) get(name string) *process {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.processes[name]
}

// newest returns the status with the highest epoch among the running nodes of the cluster.
func (c *cluster) newest() kv.Status {
	var best kv.Status
	for _, p := range c.running() {
		if s := p.node.Status(); s.Epoch > best.Epoch && s.State != "left" && (c.id == "" || s.Cluster == c.id) {
			best = s
		}
	}
	return best
}

// currentSeeds returns the list that operators are asked to keep (docs/operations.md): the founders
// of the cluster and its present members. A node that knows the founders alone, and restarts when
// all of them have left, finds no member.
func (c *cluster) currentSeeds() []transport.Address {
	seeds := slices.Clone(c.seeds)
	for _, m := range c.newest().Members {
		// A node that is joining is left out, since its join may fail.
		if m.State != "joining" && !slices.Contains(seeds, address(m.Name)) {
			seeds = append(seeds, address(m.Name))
		}
	}
	return seeds
}

// weak counts the members that hold no complete memory. These are slots that are vacant,
// rebuilding, or without a running process; the node that is joining; and a node that has given its
// join up without knowing that it is a member.
func (c *cluster) weak() (weak int, status kv.Status) {
	status = c.newest()
	for _, m := range status.Members {
		p := c.get(m.Name)
		if m.State != "active" || p == nil {
			weak++
		} else if own := p.node.Status(); own.State != "active" || own.Cluster != status.Cluster {
			weak++
		}
	}
	return weak, status
}

// await polls ok in virtual time, and reports whether it came true within the given time. If not,
// the test fails.
func (c *cluster) await(what string, within time.Duration, ok func() bool) bool {
	for end := time.Now().Add(within); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			c.t.Errorf("within %v of virtual time: not %s; %s", within, what, c.describe())
			return false
		}
	}
	return true
}

// whole reports whether the cluster has n slots, all are active, no change of size is unsettled,
// and all members know this.
func (c *cluster) whole(n int) bool {
	s := c.newest()
	if len(s.Members) != n || s.Unsettled != nil {
		return false
	}
	for _, m := range s.Members {
		p := c.get(m.Name)
		if m.State != "active" || p == nil {
			return false
		}
		if own := p.node.Status(); own.Epoch != s.Epoch || own.State != "active" {
			return false
		}
	}
	return true
}

// equal reports whether all members hold the same records.
func (c *cluster) equal() bool {
	digest := ""
	for _, m := range c.newest().Members {
		p := c.get(m.Name)
		if p == nil {
			return false
		}
		switch d := p.node.Status().Digest; {
		case digest == "":
			digest = d
		case d != digest:
			return false
		}
	}
	return digest != ""
}

func (c *cluster) describe() string {
	s := ""
	for _, p := range c.running() {
		st := p.node.Status()
		s += fmt.Sprintf("\n  %s: %s epoch %d n %d digest %s %v", p.name, st.State, st.Epoch, st.N, st.Digest, st.Reason)
		for _, m := range st.Members {
			s += fmt.Sprintf(" %s=%s", m.Name, m.State)
		}
	}
	return s
}
