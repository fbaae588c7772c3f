package topology

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"viakv/node/transport"
	"viakv/node/transport/simnet"
	"viakv/quorum/version"
)

// world runs whole managers on a network inside a synctest bubble, and fails the test when they
// break an invariant.
type world struct {
	*testing.T
	net *network

	mu        sync.Mutex
	documents map[ClusterID]map[version.Epoch]string // E1
	processes []*process
	boots     uint64
	adopted   map[uint64]version.Epoch // by boot ID
	dead      map[uint64]bool
	sim       *simnet.Network // used in place of net; nil: net is used
	term      time.Duration   // of leases; set it before the first process starts
}

// simulate runs f in a world of its own, in virtual time.
func simulate(t *testing.T, f func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.stop()
		f(w)
	})
}

func newWorld(t *testing.T) *world {
	return &world{T: t, net: newNetwork(1), documents: map[ClusterID]map[version.Epoch]string{},
		adopted: map[uint64]version.Epoch{}, dead: map[uint64]bool{}}
}

func (w *world) stop() {
	for _, p := range w.processes {
		p.crash()
	}
	for _, p := range w.processes {
		p.network.Wait()
	}
}

func address(name string) transport.Address { return transport.Address(name + ":7000") }

func addresses(names ...string) []transport.Address {
	var out []transport.Address
	for _, n := range names {
		out = append(out, address(n))
	}
	return out
}

// option changes the configuration or the host of a process before it starts.
type option func(*Config, *process)

func seeds(names ...string) option {
	return func(c *Config, _ *process) { c.Seeds = addresses(names...) }
}
func via(name string) option        { return func(c *Config, _ *process) { c.JoinVia = address(name) } }
func stuck(_ *Config, p *process)   { p.stuck = true }
func lazy(_ *Config, p *process)    { p.lazy = true }
func blocked(_ *Config, p *process) { p.block() }
func at(a transport.Address) option { return func(c *Config, _ *process) { c.Self.Peer = a } }
func advertised(a transport.Address) option {
	return func(c *Config, p *process) { c.Self.Peer, p.listens = a, c.Self.Peer }
}
func expects(n int) option { return func(c *Config, _ *process) { c.Expect = n } }

// verbose makes the managers log to the test.
var verbose = false

// start starts a process, which begins a membership.
func (w *world) start(name string, options ...option) *process {
	w.Helper()
	w.boots++
	random := rand.New(rand.NewPCG(w.boots, 7))
	log := zap.NewNop()
	if verbose {
		log = zaptest.NewLogger(w.T)
	}
	p := &process{w: w, ended: make(chan struct{}), ready: make(chan struct{}), news: make(chan struct{}, 1)}
	cfg := Config{
		Self:   Identity{Name: name, HTTP: name + ":80", Peer: address(name), BootID: NewBootID(random)},
		Random: random, Host: p, Logger: log, Stopping: p.stopping.Load,
	}
	for _, o := range options {
		o(&cfg, p)
	}
	p.id = cfg.Self
	p.ctx, p.cancel = context.WithCancel(context.Background())
	cfg.Transport = w.plug(p)
	m, err := New(cfg)
	if err != nil {
		w.Fatal(err)
	}
	p.m = m
	close(p.ready)
	w.mu.Lock()
	w.processes = append(w.processes, p)
	w.mu.Unlock()
	p.driving.Go(p.drive)
	go func() {
		p.err = m.Run(p.ctx)
		close(p.ended)
	}()
	return p
}

// plug connects a process to the network.
func (w *world) plug(p *process) transport.Transport {
	var tr transport.Transport
	if w.sim != nil {
		tr = w.sim.Node(p.id.Peer, p)
		p.unplug = func() { w.sim.Kill(p.id.Peer) }
	} else {
		if p.listens == "" {
			p.listens = p.id.Peer
		}
		port := w.net.open(p.listens)
		port.listen(p.Serve)
		p.unplug, tr = port.close, port
	}
	p.network.Go(func() { _ = tr.Run(p.ctx) })
	return tr
}

// until waits in virtual time until f is true, and returns how long that took. It fails the test
// after the limit.
func (w *world) until(what string, limit time.Duration, f func() bool) time.Duration {
	w.Helper()
	began := time.Now()
	for !f() {
		if time.Since(began) > limit {
			w.dump()
			w.Fatalf("after %v still not: %s", limit, what)
		}
		time.Sleep(5 * time.Millisecond)
	}
	return time.Since(began)
}

// dump logs the state of all live processes.
func (w *world) dump() {
	for _, p := range w.processes {
		if p.ctx.Err() == nil {
			w.Logf("%s %x: %+v\n  %s", p.id.Name, p.id.BootID, p.m.Status(), p.m.Document())
			if p.over() {
				w.Logf("  ended: %v", p.err)
			}
		}
	}
}

// agree waits until exactly these processes are the active members and the voters of one settled
// cluster, and all have adopted its present epoch. It returns the topology of that epoch.
func (w *world) agree(limit time.Duration, all ...*process) *Topology {
	w.Helper()
	var t *Topology
	w.until(fmt.Sprintf("%d processes agree", len(all)), limit, func() bool {
		t = all[0].m.current()
		if t == nil || t.N() != len(all) || t.Change != nil || t.Joining != nil {
			return false
		}
		for _, p := range all {
			o := p.m.current()
			if o == nil || o.Cluster != t.Cluster || o.Epoch != t.Epoch || p.m.newest() != o {
				return false
			}
			if role, _ := t.Role(p.id.BootID); role != Active {
				return false
			}
		}
		return votersOf(all) == len(all)
	})
	if err := t.validate(); err != nil {
		w.Fatal(err)
	}
	return t
}

// votersOf returns the number of voters when all processes agree on it, and zero otherwise.
func votersOf(all []*process) int {
	n := all[0].m.Status().Voters
	for _, p := range all {
		if p.m.Status().Voters != n {
			return 0
		}
	}
	return n
}

// leader waits until one of the processes leads, and returns it.
func (w *world) leader(all ...*process) *process {
	w.Helper()
	var leads *process
	w.until("a leader", 10*time.Second, func() bool {
		for _, p := range all {
			if p.ctx.Err() == nil && p.m.leader() == p.id.Name {
				leads = p
				return true
			}
		}
		return false
	})
	return leads
}

// others returns all processes without one.
func others(one *process, all ...*process) []*process {
	return slices.DeleteFunc(slices.Clone(all), func(p *process) bool { return p == one })
}

// ctx returns a context that ends after d.
func (w *world) ctx(d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	w.Cleanup(cancel)
	return ctx
}

// startAll starts one process of each name.
func (w *world) startAll(names []string, options ...option) []*process {
	w.Helper()
	var out []*process
	for _, name := range names {
		out = append(out, w.start(name, options...))
	}
	return out
}

// cluster starts nodes that found a cluster.
func (w *world) cluster(names ...string) []*process {
	w.Helper()
	nodes := w.startAll(names, seeds(names...))
	w.agree(2*time.Second, nodes...)
	return nodes
}

// trio starts three nodes that found a cluster.
func (w *world) trio() (a, b, c *process) {
	w.Helper()
	nodes := w.cluster("a", "b", "c")
	return nodes[0], nodes[1], nodes[2]
}

// ledTrio is trio with the leader first.
func (w *world) ledTrio() (leader, b, c *process) {
	w.Helper()
	nodes := w.cluster("a", "b", "c")
	leader = w.leader(nodes...)
	rest := others(leader, nodes...)
	return leader, rest[0], rest[1]
}

// quintet starts five nodes that found a cluster, and returns the leader and the other four.
func (w *world) quintet() (leader *process, rest []*process) {
	w.Helper()
	nodes := w.cluster(five...)
	leader = w.leader(nodes...)
	return leader, others(leader, nodes...)
}

// five are the names of a quintet.
var five = []string{"a", "b", "c", "d", "e"}

// leads waits until a process leads and takes requests. That is when the first entry of its term is
// applied.
func (w *world) leads(p *process) *leader {
	w.Helper()
	var l *leader
	w.until(p.id.Name+" takes requests", 10*time.Second, func() bool {
		p.m.mu.Lock()
		defer p.m.mu.Unlock()
		l = p.m.group.snapshot().leading
		return l != nil
	})
	return l
}

// founded fails the test unless exactly one cluster has been founded so far.
func (w *world) founded() {
	w.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.documents) != 1 {
		w.Errorf("%d clusters were founded", len(w.documents))
	}
}

// reason waits until the reason for which a process waits contains the wanted text.
func (w *world) reason(p *process, want string) {
	w.Helper()
	w.until(fmt.Sprintf("%s says %q; it says %q", p.id.Name, want, p.m.Status().Reason), 15*time.Second, func() bool {
		return strings.Contains(p.m.Status().Reason, want)
	})
}
