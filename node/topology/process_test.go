package topology

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"viakv/node/transport"
	"viakv/quorum/version"
)

// process is one process: a manager, and a host that copies and runs barriers as a node does.
type process struct {
	w       *world
	id      Identity
	listens transport.Address // empty: at the address that it advertises
	unplug  func()            // kills its connections
	network sync.WaitGroup    // its transport
	m       *Manager
	cancel  context.CancelFunc
	top     atomic.Pointer[Topology]
	ended   chan struct{}
	ready   chan struct{} // closed once m is set
	err     error
	stuck   bool // the host copies nothing: it rebuilds for ever
	lazy    bool // the host never runs the barrier

	stopping atomic.Bool // it says that it is about to stop
	mu       sync.Mutex
	epochs   []version.Epoch
	given    []given
	driving  sync.WaitGroup
	ctx      context.Context
	news     chan struct{}
	gate     atomic.Pointer[chan struct{}] // not nil: Adopt does not return before it is closed
}

// given is a lease that a host has given.
type given struct {
	asked version.Epoch // at which its holder has asked
	end   time.Time
}

// give makes the host give a lease for d to a member that asks at an epoch.
func (p *process) give(asked version.Epoch, d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.given = append(p.given, given{asked, time.Now().Add(d)})
}

// renew makes the holders of all leases ask anew at an epoch. The leases end when they did.
func (p *process) renew(asked version.Epoch) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.given {
		p.given[i].asked = asked
	}
}

// Quiet implements Host. The leases of a process that has crashed go on.
func (p *process) Quiet(at version.Epoch) (left time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.given {
		if l.asked < at {
			left = max(left, time.Until(l.end))
		}
	}
	return left
}

// Term implements Host.
func (p *process) Term() time.Duration { return p.w.term }

// block makes Adopt and Close of the host wait until unblock is called.
func (p *process) block() {
	gate := make(chan struct{})
	p.gate.Store(&gate)
}

// unblock lets the calls that wait go on.
func (p *process) unblock() {
	if gate := p.gate.Swap(nil); gate != nil {
		close(*gate)
	}
}

// Serve implements transport.Handler.
func (p *process) Serve(ctx context.Context, dst, request []byte) []byte {
	<-p.ready
	return p.m.Serve(ctx, dst, request)
}

// Refuse implements transport.Handler. The simulated network has room for everything.
func (p *process) Refuse(dst, _ []byte) []byte { return dst }

// ServeInline implements transport.Handler.
func (p *process) ServeInline(dst, _ []byte) ([]byte, bool) { return dst, false }

// crash ends the process as kill -9 does: it sends nothing any more.
func (p *process) crash() {
	p.unblock()
	p.w.mu.Lock()
	p.w.dead[p.id.BootID] = true
	p.w.mu.Unlock()
	p.unplug()
	p.cancel()
	<-p.ended
	p.driving.Wait()
}

// over reports whether the membership has ended.
func (p *process) over() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// Adopt implements Host. It checks what a host may rely on (E1, E2).
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
	if other, ok := known[t.Epoch]; ok && other != string(t.encode()) {
		p.w.Errorf("two documents of epoch %d:\n%s\n%s", t.Epoch, other, t.encode())
	}
	if known[t.Epoch] == "" {
		p.w.checkSealed(t, known[t.Epoch-1])
	}
	known[t.Epoch] = string(t.encode())
	p.w.adopted[p.id.BootID] = t.Epoch
	p.w.mu.Unlock()
	p.top.Store(t)
	select {
	case p.news <- struct{}{}:
	default:
	}
}

// Close implements Host. It notes that nothing completes at the host any more.
func (p *process) Close() {
	if gate := p.gate.Load(); gate != nil {
		<-*gate
	}
	p.w.mu.Lock()
	p.w.adopted[p.id.BootID] = ^version.Epoch(0)
	p.w.mu.Unlock()
}

// checkSealed checks M5 when t is seen for the first time: the epoch before t must have been
// sealed. The document of that epoch is before; when that is empty, nothing is checked. Enough
// slots of the predecessor's list in that document must have adopted the epoch, have been vacant,
// or be dead. The leases that a process gave below the epoch must be over (L10). The check counts
// what the hosts did, not what the leader believed. Call it with mu held.
func (w *world) checkSealed(t *Topology, before string) {
	if before == "" {
		return
	}
	e, err := Decode([]byte(before))
	if err != nil {
		w.Error(err)
		return
	}
	n := 0
	for i := range e.Prev.Slots {
		s := &e.Prev.Slots[i]
		refuses := w.dead[s.BootID] || w.adopted[s.BootID] >= e.Epoch
		if !s.active() || refuses && w.quiet(s.BootID, e.Epoch) {
			n++
		}
	}
	if n < e.Prev.Need {
		w.Errorf("epoch %d took effect when %d of %d needed had adopted epoch %d and were quiet", t.Epoch, n, e.Prev.Need, e.Epoch)
	}
}

// quiet reports whether a process is quiet at an epoch, dead or alive. Call it with mu held.
func (w *world) quiet(boot uint64, at version.Epoch) bool {
	return !slices.ContainsFunc(w.processes, func(p *process) bool { return p.id.BootID == boot && p.Quiet(at) > 0 })
}

// drive does what a node does when the topology asks for it: it copies, and runs the barrier.
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

// step does one such task. It reports whether the task failed and has to be tried again.
func (p *process) step() bool {
	t := p.top.Load()
	if t == nil {
		return false
	}
	role, _ := t.Role(p.id.BootID)
	switch {
	case p.stuck && role != Active:
	case role == Rebuilding || role == Joining:
		if need, from := t.RebuildNeed(p.id.BootID); len(from) < need {
			return false
		}
		time.Sleep(5 * time.Millisecond) // the time that copying takes
		ctx, cancel := context.WithTimeout(p.ctx, time.Second)
		defer cancel()
		return p.m.Rebuilt(ctx, t) != nil && p.ctx.Err() == nil && p.m.Status().State != stateLeft
	case role == Active && t.Change != nil && !p.lazy && slices.Contains(t.Change.Owe, p.id.Name):
		time.Sleep(5 * time.Millisecond)
		ctx, cancel := context.WithTimeout(p.ctx, time.Second)
		defer cancel()
		return p.m.BarrierDone(ctx, t.Change.Epoch) != nil && p.ctx.Err() == nil
	}
	return false
}
