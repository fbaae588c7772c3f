package api

import (
	"net"
	"net/netip"
	"sync"
	"time"

	"viakv/api/kv"
)

// gate counts the connections of all public listeners, turns away those above the bounds with an answer that says so, and can
// close all of them, also those that fasthttp has given to a stream.
type gate struct {
	max, maxPerIP int
	slack         time.Duration // how much earlier than asked a deadline may strike; see conn

	mu        sync.Mutex
	open      map[*conn]struct{}
	perIP     map[netip.Addr]int // only with maxPerIP
	rejected  uint64
	lingering int
	quiet     *sync.Cond // a connection or a lingering close has gone
}

func newGate(limit, perIP int, slack time.Duration) *gate {
	g := &gate{max: limit, maxPerIP: perIP, slack: slack, open: make(map[*conn]struct{}), perIP: make(map[netip.Addr]int)}
	g.quiet = sync.NewCond(&g.mu)
	return g
}

// gatedListener lets connections through a gate.
type gatedListener struct {
	net.Listener
	gate *gate
}

// Accept returns the next connection within the bounds.
func (l *gatedListener) Accept() (net.Conn, error) {
	for {
		nc, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		c := &conn{Conn: nc, gate: l.gate, ip: addressOf(nc)}
		if l.gate.enter(c) {
			return c, nil
		}
		c.turnAway()
	}
}

func addressOf(c net.Conn) netip.Addr {
	if tcp, ok := c.RemoteAddr().(*net.TCPAddr); ok {
		return tcp.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}

func (g *gate) enter(c *conn) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.open) >= g.max || g.maxPerIP > 0 && g.perIP[c.ip] >= g.maxPerIP {
		g.rejected++
		return false
	}
	g.open[c] = struct{}{}
	if g.maxPerIP > 0 {
		g.perIP[c.ip]++
	}
	return true
}

func (g *gate) leave(c *conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, in := g.open[c]; !in {
		return
	}
	delete(g.open, c)
	g.quiet.Broadcast()
	if g.maxPerIP > 0 {
		if g.perIP[c.ip]--; g.perIP[c.ip] == 0 {
			delete(g.perIP, c.ip)
		}
	}
}

// stats returns the open connections and how many were ever turned away.
func (g *gate) stats() (open int, rejected uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.open), g.rejected
}

// closeAll closes every connection under its user.
func (g *gate) closeAll() {
	g.mu.Lock()
	open := make([]*conn, 0, len(g.open))
	for c := range g.open {
		open = append(open, c)
	}
	g.mu.Unlock()
	for _, c := range open {
		_ = c.Conn.Close()
	}
}

// wait returns when no connection is open and no lingering close is left.
func (g *gate) wait() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for len(g.open)+g.lingering > 0 {
		g.quiet.Wait()
	}
}

const (
	maxLingering = 256
	lingerTime   = time.Second
	lingerBytes  = 256 << 10
)

// later runs a lingering close in a goroutine of its own, or reports that there are too many.
func (g *gate) later(f func()) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.lingering >= maxLingering {
		return false
	}
	g.lingering++
	go func() {
		f()
		g.mu.Lock()
		defer g.mu.Unlock()
		g.lingering--
		g.quiet.Broadcast()
	}()
	return true
}

// busy is the whole answer to a connection too many.
var busy = func() []byte {
	p := problem{kind: kindOverloaded, outcome: kv.None,
		detail: "the server has as many connections as it may; try again later or at another node"}
	return rawResponse(p, "X-Viakv-Retriable: true\r\nRetry-After: 1\r\n")
}()
