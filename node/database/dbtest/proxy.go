// Package dbtest holds what the tests of all stores on databases share: a proxy that puts faults on
// the wire to a database, and checks of what a store makes of faults. A check knows nothing of the
// database.
package dbtest

import (
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// Proxy is a TCP proxy on loopback. It forwards connections to a target, and delays, swallows or
// cuts what passes. It is safe for concurrent use.
type Proxy struct {
	listener net.Listener
	target   string

	mu      sync.Mutex
	lag     time.Duration
	stalled chan struct{} // closed when bytes may flow again; nil: they may flow
	conns   map[net.Conn]struct{}
	closed  bool
	wg      sync.WaitGroup
}

// NewProxy starts a proxy to a target. The proxy runs until the test ends.
func NewProxy(t testing.TB, target string) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{listener: l, target: target, conns: map[net.Conn]struct{}{}}
	p.wg.Go(p.accept)
	t.Cleanup(p.close)
	return p
}

// Through returns a URL of the target as one that leads through the proxy.
func (p *Proxy) Through(url string) string {
	return strings.Replace(url, p.target, p.listener.Addr().String(), 1)
}

// delay makes the proxy hold every piece of data back for so long.
func (p *Proxy) delay(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lag = d
}

// stall makes the proxy a black hole: nothing passes any more, and connections stay open.
func (p *Proxy) stall() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stalled == nil {
		p.stalled = make(chan struct{})
	}
}

// flow ends a stall. What was held back arrives.
func (p *Proxy) flow() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.flowLocked()
}

func (p *Proxy) flowLocked() {
	if p.stalled != nil {
		close(p.stalled)
		p.stalled = nil
	}
}

// Cut resets every connection. What a stall holds back on them is lost.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		if tcp, ok := c.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // a reset, not an orderly end
		}
		_ = c.Close()
	}
}

func (p *Proxy) close() {
	p.mu.Lock()
	p.closed = true
	p.flowLocked()
	p.mu.Unlock()
	_ = p.listener.Close()
	p.Cut()
	p.wg.Wait()
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.target)
		if err != nil {
			_ = client.Close()
			continue
		}
		p.mu.Lock()
		if p.closed {
			p.mu.Unlock()
			_, _ = client.Close(), server.Close()
			return
		}
		p.conns[client], p.conns[server] = struct{}{}, struct{}{}
		p.mu.Unlock()
		p.wg.Go(func() { p.forward(server, client) })
		p.wg.Go(func() { p.forward(client, server) })
	}
}

// forward copies one direction. When that direction ends, it ends both.
func (p *Proxy) forward(to, from net.Conn) {
	defer func() {
		_, _ = to.Close(), from.Close()
		p.mu.Lock()
		delete(p.conns, to)
		delete(p.conns, from)
		p.mu.Unlock()
	}()
	b := make([]byte, 32<<10)
	for {
		n, err := from.Read(b)
		if n > 0 {
			p.hold()
			if _, err := to.Write(b[:n]); err != nil {
				return
			}
		}
		if err != nil {
			if err == io.EOF {
				p.hold() // the end of a direction passes no sooner than data
			}
			return
		}
	}
}

func (p *Proxy) hold() {
	p.mu.Lock()
	d, stalled := p.lag, p.stalled
	p.mu.Unlock()
	if d > 0 {
		time.Sleep(d) // this delay is the fault itself; the test does not wait for anything here
	}
	if stalled != nil {
		<-stalled
	}
}
