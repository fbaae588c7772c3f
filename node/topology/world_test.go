package topology

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"viakv/node/transport"
	"viakv/quorum/version"
)

// world runs whole managers on a network inside a synctest bubble, and holds them to what must never happen.
type world struct {
	*testing.T
	net *network

	mu        sync.Mutex
	documents map[ClusterID]map[version.Epoch]string // E1
	processes []*process
	boots     uint64
}

// process is one process: a manager and the host that copies and runs barriers as a node would.
type process struct {
	w       *world
	id      Identity
	port    *port
	m       *Manager
	cancel  context.CancelFunc
	ended   chan struct{}
	err     error
	stuck   bool // the host copies nothing: it rebuilds for ever
	lazy    bool // the host never runs the barrier
	mu      sync.Mutex
	epochs  []version.Epoch
	driving sync.WaitGroup
	ctx     context.Context
	news    chan struct{}
	gate    atomic.Pointer[chan struct{}] // not nil: the host does not return from Adopt before it is closed
}

// block holds the host up in its next Adopt; unblock lets it go on.
func (p *process) block() {
	gate := make(chan struct{})
	p.gate.Store(&gate)
}

func (p *process) unblock() {
	if gate := p.gate.Swap(nil); gate != nil {
		close(*gate)
	}
}

func simulate(t *testing.T, f func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{T: t, net: newNetwork(1), documents: map[ClusterID]map[version.Epoch]string{}}
		defer w.stop()
		f(w)
	})
}

func (w *world) stop() {
	for _, p := range w.processes {
		p.crash()
	}
	for _, p := range w.processes {
		p.port.work.Wait()
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

type option func(*Config, *process)

func seeds(names ...string) option {
	return func(c *Config, _ *process) { c.Seeds = addresses(names...) }
}
func via(name string) option        { return func(c *Config, _ *process) { c.JoinVia = address(name) } }
func stuck(_ *Config, p *process)   { p.stuck = true }
func lazy(_ *Config, p *process)    { p.lazy = true }
func at(a transport.Address) option { return func(c *Config, _ *process) { c.Self.Peer = a } }

var verbose = false

// start begins a life.
func (w *world) start(name string, options ...option) *process {
	w.Helper()
	w.boots++
	random := rand.New(rand.NewPCG(w.boots, 7))
	log := zap.NewNop()
	if verbose {
		log = zaptest.NewLogger(w.T)
	}
	p := &process{w: w, ended: make(chan struct{}), news: make(chan struct{}, 1)}
	cfg := Config{
		Self:   Identity{Name: name, HTTP: name + ":80", Peer: address(name), Boot: NewBoot(random)},
		Random: random, Host: p, Logger: log,
	}
	for _, o := range options {
		o(&cfg, p)
	}
	p.id = cfg.Self
	p.port = w.net.open(cfg.Self.Peer)
	cfg.Transport = p.port
	m, err := New(cfg)
	if err != nil {
		w.Fatal(err)
	}
	p.m = m
	p.port.listen(m.Serve)
	p.ctx, p.cancel = context.WithCancel(context.Background())
	w.processes = append(w.processes, p)
	p.driving.Go(p.drive)
	go func() {
		p.err = m.Run(p.ctx)
		close(p.ended)
	}()
	return p
}

// crash ends the process as kill -9 would: nothing more leaves it.
func (p *process) crash() {
	p.unblock()
	p.port.close()
	p.cancel()
	<-p.ended
	p.driving.Wait()
}

// Adopt checks what a host may rely on (E1, E2).
func (p *process) Adopt(t *Topology) {
	p.mu.Lock()
	if n := len(p.epochs); n > 0 && p.epochs[n-1] >= t.Epoch {
		p.w.Errorf("%s adopts epoch %d after %d", p.id.Name, t.Epoch, p.epochs[n-1])
	}
	p.epochs = append(p.epochs, t.Epoch)
	p.mu.Unlock()
	if gate := p.gate.Load(); gate != nil {
		<-*gate
	}
	p.w.mu.Lock()
	known := p.w.documents[t.Cluster]
	if known == nil {
		known = map[version.Epoch]string{}
		p.w.documents[t.Cluster] = known
	}
	if other, ok := known[t.Epoch]; ok && other != string(t.Encode()) {
		p.w.Errorf("two documents of epoch %d:\n%s\n%s", t.Epoch, other, t.Encode())
	}
	known[t.Epoch] = string(t.Encode())
	p.w.mu.Unlock()
	select {
	case p.news <- struct{}{}:
	default:
	}
}

// drive does what a node does when the topology asks for it: copy, and run the barrier.
func (p *process) drive() {
	for {
		select {
		case <-p.news:
		case <-p.ctx.Done():
			return
		}
		for p.step() {
		}
	}
}

func (p *process) step() bool {
	t := p.m.Current()
	if t == nil {
		return false
	}
	role, _ := t.Role(p.id.Boot)
	switch {
	case p.stuck && role != Active:
	case role == Rebuilding || role == Joining:
		if need, from := t.RebuildNeed(p.id.Boot); len(from) < need {
			return false
		}
		time.Sleep(5 * time.Millisecond) // the copying
		ctx, cancel := context.WithTimeout(p.ctx, time.Second)
		defer cancel()
		return p.m.Rebuilt(ctx, t) != nil && p.ctx.Err() == nil && p.m.Status().State != string(StateLeft)
	case role == Active && t.Change != nil && !p.lazy && slices.Contains(t.Change.Owe, p.id.Name):
		time.Sleep(5 * time.Millisecond)
		ctx, cancel := context.WithTimeout(p.ctx, time.Second)
		defer cancel()
		return p.m.BarrierDone(ctx, t.Change.Epoch) != nil && p.ctx.Err() == nil
	}
	return false
}

// until polls, in the bubble's time.
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

func (w *world) dump() {
	for _, p := range w.processes {
		if p.ctx.Err() == nil {
			w.Logf("%s %x: %+v\n  %s", p.id.Name, p.id.Boot, p.m.Status(), p.m.Document())
			select {
			case <-p.ended:
				w.Logf("  ended: %v", p.err)
			default:
			}
		}
	}
}

// agree waits until exactly these processes are active members of one settled cluster and all have adopted its present epoch.
func (w *world) agree(limit time.Duration, all ...*process) *Topology {
	w.Helper()
	var t *Topology
	w.until(fmt.Sprintf("%d processes agree", len(all)), limit, func() bool {
		t = all[0].m.Current()
		if t == nil || t.N() != len(all) || t.Change != nil || t.Joining != nil {
			return false
		}
		for _, p := range all {
			o := p.m.Current()
			if o == nil || o.Cluster != t.Cluster || o.Epoch != t.Epoch {
				return false
			}
			if role, _ := t.Role(p.id.Boot); role != Active {
				return false
			}
		}
		return p0voters(all) == len(all)
	})
	if err := t.Validate(); err != nil {
		w.Fatal(err)
	}
	return t
}

// p0voters is the number of voters when all processes agree on it, zero otherwise.
func p0voters(all []*process) int {
	n := all[0].m.Status().Voters
	for _, p := range all {
		if p.m.Status().Voters != n {
			return 0
		}
	}
	return n
}

// leader returns the process that leads.
func (w *world) leader(all ...*process) *process {
	w.Helper()
	var leads *process
	w.until("a leader", 10*time.Second, func() bool {
		for _, p := range all {
			if p.ctx.Err() == nil && p.m.Leader() == p.id.Name {
				leads = p
				return true
			}
		}
		return false
	})
	return leads
}

func (w *world) ctx(d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	w.Cleanup(cancel)
	return ctx
}

// trio starts three nodes that found a cluster.
func (w *world) trio() (a, b, c *process) {
	w.Helper()
	all := seeds("a", "b", "c")
	a, b, c = w.start("a", all), w.start("b", all), w.start("c", all)
	w.agree(2*time.Second, a, b, c)
	return a, b, c
}
