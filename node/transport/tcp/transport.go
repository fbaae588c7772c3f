package tcp

import (
	"context"
	"fmt"
	"maps"
	"net"
	"sync"
	"sync/atomic"

	"viakv/api/listen"
	"viakv/node/transport"
)

// Transport implements transport.Transport over TCP.
type Transport struct {
	cfg        Config
	listener   *listen.Listener
	complained atomic.Int64  // when a refused connection was last logged
	panics     atomic.Uint64 // faults of the program that a peer's request ran into

	clients atomic.Pointer[map[way]*client] // copied on write: every call reads it, a new peer is rare

	mu       sync.Mutex
	ctx      context.Context // nil before Run
	closed   bool
	running  sync.WaitGroup
	greeting []net.Conn // accepted, and not known to be peers yet; the oldest first
}

type way struct {
	to    transport.Address
	class transport.Class
}

var _ transport.Transport = (*Transport)(nil)

// New returns a transport; calls fail until Run runs.
func New(cfg Config) (*Transport, error) {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	t := &Transport{cfg: cfg, listener: listen.Wrap(cfg.Listener, "peer", cfg.Logger)}
	t.clients.Store(&map[way]*client{})
	return t, nil
}

// Run implements transport.Transport. The listener stops first, then all connections, whose calls fail, and then
// what was being answered is waited for.
func (t *Transport) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	t.mu.Lock()
	if t.ctx != nil {
		t.mu.Unlock()
		return fmt.Errorf("tcp: %w: run twice", transport.ErrClosed)
	}
	t.ctx = ctx
	t.mu.Unlock()
	stop := context.AfterFunc(ctx, func() { _ = t.listener.Close() })
	defer stop()
	t.accept()
	cancel()
	_ = t.listener.Close()

	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	for _, c := range *t.clients.Load() {
		c.close()
	}
	t.running.Wait()
	return nil
}

// Panics returns how many requests of peers have run into a fault of the program.
func (t *Transport) Panics() uint64 { return t.panics.Load() }

// spawn runs f in a goroutine that Run waits for; false when the transport does not run.
func (t *Transport) spawn(f func(context.Context)) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ctx == nil || t.closed {
		return false
	}
	t.running.Add(1)
	go func() {
		defer t.running.Done()
		f(t.ctx)
	}()
	return true
}

// Go implements transport.Transport.
func (t *Transport) Go(to transport.Address, class transport.Class, call *transport.Call) {
	if len(call.Request) > transport.MaxFrame {
		end(call, notSent{transport.ErrTooLarge})
		return
	}
	t.client(to, class).start(call)
}

func (t *Transport) client(to transport.Address, class transport.Class) *client {
	w := way{to, class}
	if c := (*t.clients.Load())[w]; c != nil {
		return c
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	clients := maps.Clone(*t.clients.Load())
	c := clients[w]
	if c == nil {
		c = &client{t: t, to: to, class: class, slots: make([]slot, 1)}
		clients[w] = c
		t.clients.Store(&clients)
	}
	return c
}

// Cancel implements transport.Transport.
func (t *Transport) Cancel(call *transport.Call) bool {
	c, ok := call.Via().(*client)
	return ok && c.cancel(call)
}

// Health implements transport.Transport.
func (t *Transport) Health(to transport.Address) transport.Health {
	if c := (*t.clients.Load())[way{to, transport.Data}]; c != nil {
		return c.health()
	}
	return transport.Health{}
}

// Forget implements transport.Transport.
func (t *Transport) Forget(to transport.Address) {
	t.mu.Lock()
	clients := maps.Clone(*t.clients.Load())
	var gone []*client
	for class := range transport.Classes {
		w := way{to, transport.Class(class)}
		if c := clients[w]; c != nil {
			gone = append(gone, c)
			delete(clients, w)
		}
	}
	t.clients.Store(&clients)
	t.mu.Unlock()
	for _, c := range gone {
		c.close()
	}
}
