package api

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"viakv/api/kv"
	"viakv/api/listen"
)

// gate counts the connections of the listeners that share it, turns away those above the bounds
// with an answer that says so, and ends all of them: gently between two requests, or at once.
type gate struct {
	max, maxPerIP int
	maxTurned     int           // connections that are being told that they are too many
	slack         time.Duration // how much earlier than asked a deadline may strike; see conn
	boundBy       string        // what bounds max; empty: the operator's choice
	log           *zap.Logger

	closing atomic.Bool    // no connection begins another request; set under mu
	lastBy  time.Time      // until when the requests that have begun are read; set before closing
	serving sync.WaitGroup // the connections' goroutines

	mu        sync.Mutex
	listeners []*listen.Listener
	open      map[*conn]struct{}
	perIP     map[netip.Addr]int // only with maxPerIP
	rejected  uint64
	turned    int
	full      time.Time  // since when connections are turned away for want of room; zero: not
	told      time.Time  // when the log last had that
	quiet     *sync.Cond // a connection or an answer to one too many has gone
}

func newGate(limit, perIP int, slack time.Duration, boundBy string, log *zap.Logger) *gate {
	g := &gate{
		max: limit, maxPerIP: perIP, maxTurned: MaxTurnedAway(limit), slack: slack, boundBy: boundBy, log: log,
		open: make(map[*conn]struct{}), perIP: make(map[netip.Addr]int),
	}
	g.quiet = sync.NewCond(&g.mu)
	return g
}

// MaxTurnedAway is how many connections above a bound are held at a time, for as long as it takes
// to tell them that they are too many. They have descriptors of their own.
func MaxTurnedAway(connections int) int { return min(256, connections/8+1) }

// listen adds a listener, unless the gate is closing.
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

// enter lets a connection in, whose goroutine then is one of serving; or it returns the answer that
// turns it away.
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

// tellEvery is how often the log is told that connections are turned away.
const tellEvery = time.Minute

func (g *gate) complainLocked() {
	now := time.Now()
	if len(g.open) >= g.max && g.full.IsZero() {
		g.full = now
	}
	if now.Sub(g.told) >= tellEvery || g.told.IsZero() {
		g.told = now
		g.log.Warn("connections are turned away: as many as may be are open", zap.Int("open", len(g.open)), zap.Int("limit", g.max),
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

// stats returns the open connections and how many were ever turned away.
func (g *gate) stats() (open int, rejected uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.open), g.rejected
}

// fullTime is how long a gate must be full before it counts as trouble.
const fullTime = time.Second

// trouble says why no further connection has been let in for a while; nil when that is not so. That
// the operator's own limit is reached is none: it is what the limit is for, and a node that left
// the balancer for it would send its clients to nodes that are as full.
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

// close closes the listeners and lets no connection begin another request: one whose first byte has
// been read is answered, any other is not read. It returns at once; wait waits.
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
		_ = c.Conn.SetReadDeadline(past) // wakes a Read, which sees what it is about; see conn.Read
	}
	return err
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

// wait returns when no connection is left, or with ctx's error.
func (g *gate) wait(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.quiet.Broadcast()
	})
	defer stop()
	g.mu.Lock()
	defer g.mu.Unlock()
	for len(g.open)+g.turned > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		g.quiet.Wait()
	}
	return nil
}

// lastTime is how long a request that has begun to arrive may still take to arrive once the gate is
// closing. Nothing of it has been carried out, and one byte is enough of a beginning.
const lastTime = 2 * time.Second

const (
	lingerTime  = time.Second
	lingerBytes = 256 << 10
)

// answerOne runs the answer to a connection too many in a goroutine of its own, or reports that
// there are too many of those as well.
func (g *gate) answerOne(answer func()) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.turned >= g.maxTurned {
		return false
	}
	g.turned++
	go func() {
		answer()
		g.mu.Lock()
		defer g.mu.Unlock()
		g.turned--
		g.quiet.Broadcast()
	}()
	return true
}

// The whole answers to a connection too many, and to one that came in the moment of the shutdown.
var (
	busy     = turnedAway(kindOverloaded, "the server has as many connections as it may; try again later or at another node")
	stopping = turnedAway(kindUnavailable, "the node is shutting down; try another one")
)

func turnedAway(k kind, detail string) []byte {
	return rawResponse(problem{kind: k, outcome: kv.None, detail: detail}, "X-Viakv-Retriable: true\r\nRetry-After: 1\r\n")
}
