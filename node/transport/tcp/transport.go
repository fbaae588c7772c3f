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
	complained atomic.Int64  // when the log last got a complaint, in Unix nanoseconds
	panics     atomic.Uint64 // how many requests of peers have caused a panic

	// clients points to a map that is copied on write: every call reads it, and a new peer is rare.
	clients atomic.Pointer[map[clientKey]*client]

	mu      sync.Mutex
	ctx     context.Context // nil before Run
	closed  bool
	running sync.WaitGroup
	// greeting holds the connections that were accepted and are not known to be peers' yet, the
	// oldest first.
	greeting []net.Conn
}

type clientKey struct {
	to    transport.Address
	class transport.Class
}

var _ transport.Transport = (*Transport)(nil)

// New returns a transport. Its calls fail until Run runs.
func New(cfg Config) (*Transport, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	t := &Transport{cfg: cfg, listener: listen.Wrap(cfg.Listener, "peer", cfg.Logger)}
	t.clients.Store(&map[clientKey]*client{})
	return t, nil
}

// Run implements transport.Transport. The listener stops first. Then all connections are closed,
// and their calls fail. Run waits for the requests that are being answered.
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

// Panics returns how many requests of peers have caused a panic.
func (t *Transport) Panics() uint64 { return t.panics.Load() }

// spawn runs f in a goroutine that Run waits for. It returns false when the transport does not run.
func (t *Transport) spawn(f func(context.Context)) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ctx == nil || t.closed {
		return false
	}
	t.running.Go(func() { f(t.ctx) })
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
	w := clientKey{to, class}
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
	c, ok := call.Via.(*client)
	return ok && c.cancel(call)
}

// Health implements transport.Transport.
func (t *Transport) Health(to transport.Address) transport.Health {
	if c := (*t.clients.Load())[clientKey{to, transport.Data}]; c != nil {
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
		w := clientKey{to, transport.Class(class)}
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
