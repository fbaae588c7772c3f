package api

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"viakv/api/kv"
	"viakv/api/listen"
)

// gate counts the connections of the listeners that share it, and turns away those above the bounds
// with an answer that says so. In a shutdown it ends all connections, either gently between two
// requests or at once.
type gate struct {
	max, maxPerIP int
	maxTurned     int           // bounds turningAway
	slack         time.Duration // how much earlier than asked a deadline may strike; see conn
	boundBy       string        // what bounds max; empty: the operator's choice
	log           *zap.Logger

	closing atomic.Bool // no connection begins another request; set under mu
	// lastBy is until when requests that have begun are read. It is set before closing.
	lastBy  time.Time
	serving sync.WaitGroup // counts the connections' goroutines

	mu        sync.Mutex
	listeners []*listen.Listener
	open      map[*conn]struct{}
	perIP     map[netip.Addr]int // empty without maxPerIP
	rejected  uint64
	// turningAway counts the connections above the bounds that are being answered.
	turningAway int
	full        time.Time  // since when connections are turned away for want of room; zero: none is
	lastWarned  time.Time  // when the log was last told so
	quiet       *sync.Cond // signalled when open or turningAway shrinks
}

func newGate(limit, perIP int, slack time.Duration, boundBy string, log *zap.Logger) *gate {
	g := &gate{
		max: limit, maxPerIP: perIP, maxTurned: MaxTurnedAway(limit), slack: slack, boundBy: boundBy, log: log,
		open: make(map[*conn]struct{}), perIP: make(map[netip.Addr]int),
	}
	g.quiet = sync.NewCond(&g.mu)
	return g
}

// MaxTurnedAway returns how many connections above a bound are held at a time, each for as long as
// its refusal takes. They have descriptors of their own.
func MaxTurnedAway(connections int) int { return min(256, connections/8+1) }

// listen adds a listener and reports whether it did. It adds none once the gate is closing.
func (g *gate) listen(l *listen.Listener) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closing.Load() {
		return false
	}
	g.listeners = append(g.listeners, l)
	return true
}

func addressOf(c net.Conn) netip.Addr {
	if tcp, ok := c.RemoteAddr().(*net.TCPAddr); ok {
		return tcp.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}

// enter lets a connection in and counts its goroutine in serving. If the connection is turned away
// instead, enter returns the answer for it.
func (g *gate) enter(c *conn) (answer []byte) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closing.Load() {
		return stopping
	}
	if len(g.open) >= g.max || g.maxPerIP > 0 && g.perIP[c.ip] >= g.maxPerIP {
		g.rejected++
		g.complainLocked()
		return busy
	}
	g.serving.Add(1)
	g.open[c] = struct{}{}
	if g.maxPerIP > 0 {
		g.perIP[c.ip]++
	}
	return nil
}

// tellEvery is how often, at most, the log is told that connections are turned away.
const tellEvery = time.Minute

func (g *gate) complainLocked() {
	now := time.Now()
	if len(g.open) >= g.max && g.full.IsZero() {
		g.full = now
	}
	if now.Sub(g.lastWarned) >= tellEvery || g.lastWarned.IsZero() {
		g.lastWarned = now
		g.log.Warn("connections are turned away: a limit of open connections is reached", zap.Int("open", len(g.open)), zap.Int("limit", g.max),
			zap.Int("limit for one address", g.maxPerIP), zap.Uint64("turned away so far", g.rejected))
	}
}

func (g *gate) leave(c *conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, in := g.open[c]; !in {
		return
	}
	delete(g.open, c)
	g.full = time.Time{}
	g.quiet.Broadcast()
	if g.maxPerIP > 0 {
		if g.perIP[c.ip]--; g.perIP[c.ip] == 0 {
			delete(g.perIP, c.ip)
		}
	}
}

// stats returns how many connections are open and how many were ever turned away.
func (g *gate) stats() (open int, rejected uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.open), g.rejected
}

// fullTime is how long a gate must be full before it counts as trouble.
const fullTime = time.Second

// trouble returns why no further connection has been let in for a while, and nil when there is no
// such reason. A full gate is no trouble if the operator chose its limit: a limit is there to be
// reached. A node that left the balancer for it would send its clients to nodes that are as full.
func (g *gate) trouble() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, l := range g.listeners {
		if err := l.Trouble(); err != nil {
			return err
		}
	}
	if g.boundBy != "" && !g.full.IsZero() && time.Since(g.full) >= fullTime {
		return fmt.Errorf("all of the %d connections that %s leaves room for are in use", g.max, g.boundBy)
	}
	return nil
}

// failures returns how many attempts to accept a connection have failed.
func (g *gate) failures() (n uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, l := range g.listeners {
		n += l.Failures()
	}
	return n
}

// close closes the listeners and lets no connection begin another request. A request whose first
// byte has been read is answered; any other is not read. close returns at once; wait waits for the
// connections.
func (g *gate) close() (err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.lastBy = time.Now().Add(lastTime)
	g.closing.Store(true)
	for _, l := range g.listeners {
		err = errors.Join(err, l.Close())
	}
	past := time.Unix(1, 0)
	for c := range g.open {
		// This wakes a Read that waits. It then finds that the gate is closing; see conn.Read.
		_ = c.Conn.SetReadDeadline(past)
	}
	return err
}

// closeAll closes every connection, even one in use.
func (g *gate) closeAll() {
	g.mu.Lock()
	open := slices.Collect(maps.Keys(g.open))
	g.mu.Unlock()
	for _, c := range open {
		_ = c.Conn.Close()
	}
}

// wait returns nil when no connection is left, or ctx's error when ctx ends first.
func (g *gate) wait(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.quiet.Broadcast()
	})
	defer stop()
	g.mu.Lock()
	defer g.mu.Unlock()
	for len(g.open)+g.turningAway > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		g.quiet.Wait()
	}
	return nil
}

// lastTime is how long a request that has begun to arrive may still take to arrive once the gate is
// closing. One byte counts as a beginning. Nothing of the request has been carried out by then.
const lastTime = 2 * time.Second

const (
	// lingerTime and lingerBytes bound how long, and how far, a closing connection is read on; see
	// conn.drain.
	lingerTime  = time.Second
	lingerBytes = 256 << 10
	// lingerLoadBytes is the same of a load that was ended: many clients look for an answer only
	// once they have sent a good part of the body.
	lingerLoadBytes = 64 << 20
)

// answerOne runs the answer to a connection above the bounds in a goroutine of its own. It reports
// false, and runs nothing, when too many such answers are under way.
func (g *gate) answerOne(answer func()) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.turningAway >= g.maxTurned {
		return false
	}
	g.turningAway++
	go func() {
		answer()
		g.mu.Lock()
		defer g.mu.Unlock()
		g.turningAway--
		g.quiet.Broadcast()
	}()
	return true
}

// busy answers a connection above the bounds; stopping answers one that is accepted while the gate
// is closing. Both are whole responses.
var (
	busy     = turnedAway(kindOverloaded, "the server has as many connections as it may; try again later or at another node")
	stopping = turnedAway(kindUnavailable, "the node is shutting down; try another one")
)

func turnedAway(k kind, detail string) []byte {
	return rawResponse(problem{kind: k, outcome: kv.None, detail: detail}, "X-Viakv-Retriable: true\r\nRetry-After: 1\r\n")
}
