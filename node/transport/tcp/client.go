package tcp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"time"

	"viakv/node/transport"
)

// client is the way to one peer for one class of calls. It connects when a call needs it, and again
// after the connection has broken.
type client struct {
	t     *Transport
	to    transport.Address
	class transport.Class

	mu      sync.Mutex
	out     *batch // nil: not connected
	dialing bool
	queued  []*transport.Call // while dialing
	slots   []slot
	free    []uint32 // indices of free slots
	closed  bool

	fails       int       // attempts to connect since the last success
	nextAttempt time.Time // no attempt to connect before this time
	err         error     // why the last connection or attempt ended; nil while connected

	lastReply time.Time
	// pinged is when the keep-alive under way was sent. Zero: none is under way.
	pinged time.Time
	rtt    time.Duration
}

// slot is where a call waits for its reply. The generation makes the IDs of a slot's successive
// calls differ, so that a late reply to a cancelled call reaches no other call.
type slot struct {
	call       *transport.Call
	generation uint16
}

const maxSlots = 1 << 16

func id(index uint32, generation uint16) uint32 { return uint32(generation)<<16 | index }

// keepAliveID is the ID of keep-alives. No call has it, because slot 0 is never used.
const keepAliveID = 0

func (c *client) start(call *transport.Call) {
	c.mu.Lock()
	err := c.admitLocked()
	if err != nil {
		c.mu.Unlock()
		end(call, err)
		return
	}
	call.Via = c
	out := c.out
	if out == nil {
		call.Slot = 0
		c.queued = append(c.queued, call)
		c.mu.Unlock()
		return
	}
	flush, err := c.sendLocked(call)
	gathered, others := call.Gathered, c.waitingLocked() > 1
	c.mu.Unlock()
	if err != nil {
		end(call, err)
	} else if flush && gathered {
		out.drain(1) // another goroutine writes the rest: this one has calls to other peers to make
	} else if flush {
		out.flush(others)
	}
}

// admitLocked makes sure that there is a connection, or that one is being made.
func (c *client) admitLocked() error {
	switch {
	case c.closed:
		return notSent{transport.ErrClosed}
	case c.out != nil:
		return nil
	case c.dialing:
		if len(c.queued) >= maxQueued {
			return notSent{errQueueFull}
		}
		return nil
	case time.Now().Before(c.nextAttempt):
		return notSent{fmt.Errorf("tcp: connect to %s: %w", c.to, c.err)}
	}
	if !c.t.spawn(c.connect) {
		return notSent{transport.ErrClosed}
	}
	c.dialing = true
	return nil
}

// maxQueued bounds the calls that wait for a connection.
const maxQueued = 1024

// sendLocked gives the call a slot and queues its request for writing.
func (c *client) sendLocked(call *transport.Call) (flush bool, err error) {
	var index uint32
	switch n := len(c.free); {
	case n > 0:
		index, c.free = c.free[n-1], c.free[:n-1]
	case len(c.slots) < maxSlots:
		index = uint32(len(c.slots))
		c.slots = append(c.slots, slot{})
	default:
		return false, notSent{errQueueFull}
	}
	s := &c.slots[index]
	flush, err = c.out.add(id(index, s.generation), call.Request, call.Urgent)
	if err != nil {
		c.free = append(c.free, index)
		return false, notSent{err}
	}
	s.call = call
	call.Slot = uint64(id(index, s.generation))
	return flush, nil
}

// waitingLocked returns how many calls wait for their replies.
func (c *client) waitingLocked() int { return len(c.slots) - 1 - len(c.free) } // slot 0 is never used

// takeLocked frees the slot of a call that ends, and returns the call. It returns nil when no call
// with that ID is waiting.
func (c *client) takeLocked(id uint32) *transport.Call {
	index := id & (maxSlots - 1)
	if int(index) >= len(c.slots) {
		return nil
	}
	s := &c.slots[index]
	if s.call == nil || s.generation != uint16(id>>16) {
		return nil
	}
	call := s.call
	s.call = nil
	s.generation++
	c.free = append(c.free, index)
	return call
}

func (c *client) cancel(call *transport.Call) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	id := call.Slot
	// A call without a slot waits for the connection.
	if id == 0 {
		i := slices.Index(c.queued, call)
		if i >= 0 {
			c.queued = slices.Delete(c.queued, i, i+1)
		}
		return i >= 0
	}
	index := uint32(id) & (maxSlots - 1)
	if int(index) >= len(c.slots) || c.slots[index].call != call {
		return false
	}
	return c.takeLocked(uint32(id)) == call
}

// connect dials and, once connected, reads until the connection ends. It runs in a goroutine of its
// own.
func (c *client) connect(ctx context.Context) {
	conn, err := c.dial(ctx)
	if err != nil {
		c.unreachable(err)
		return
	}
	out := &batch{conn: conn, limit: c.t.cfg.MaxQueue}
	if !c.connected(out) {
		_ = conn.Close()
		return
	}
	stop := context.AfterFunc(ctx, out.fail)
	defer stop()
	gone := make(chan struct{})
	var watched sync.WaitGroup
	watched.Go(func() { c.watch(out, gone) })
	err = c.read(conn)
	out.fail()
	c.broken(out, err)
	close(gone)
	watched.Wait()
}

func (c *client) dial(ctx context.Context) (net.Conn, error) {
	address := c.to
	if via, ok := c.t.cfg.Via[c.to]; ok {
		address = via
	}
	ctx, cancel := context.WithTimeout(ctx, c.t.cfg.DialTimeout)
	defer cancel()
	// The name is resolved anew each time, because an address may have moved.
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", string(address))
	if err != nil {
		return nil, err
	}
	if c.t.cfg.TLS != nil {
		secure, err := c.t.cfg.TLS()
		if err != nil {
			_ = conn.Close()
			return nil, err
		}
		tc := tls.Client(conn, secure)
		if err := tc.HandshakeContext(ctx); err != nil {
			_ = conn.Close()
			return nil, err
		}
		conn = tc
	}
	me := c.t.hello()
	me.class = c.class
	if err := greet(conn, me, c.t.cfg.DialTimeout); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return conn, nil
}

// connected sends the calls that have waited for the connection. It returns false when the client
// was closed meanwhile.
func (c *client) connected(out *batch) bool {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return false
	}
	queued := c.queued
	c.out, c.dialing, c.queued, c.fails, c.err = out, false, nil, 0, nil
	c.lastReply, c.pinged = time.Now(), time.Time{}
	flush := false
	var refused []*transport.Call
	for _, call := range queued {
		f, err := c.sendLocked(call)
		if err != nil {
			refused = append(refused, call)
		}
		flush = flush || f
	}
	c.mu.Unlock()
	if flush {
		out.flush(true)
	}
	for _, call := range refused {
		end(call, notSent{errQueueFull})
	}
	return true
}

// unreachable fails the calls that have waited for the connection, and sets a rest before the next
// attempt. The rest grows with each failure. Its jitter keeps nodes from dialling in step.
func (c *client) unreachable(err error) {
	c.mu.Lock()
	queued := c.queued
	c.queued, c.dialing, c.err = nil, false, err
	c.fails++
	rest := min(firstRest<<min(c.fails-1, 10), longestRest)
	c.nextAttempt = time.Now().Add(rest/2 + rand.N(rest))
	c.mu.Unlock()
	for _, call := range queued {
		end(call, notSent{fmt.Errorf("tcp: connect to %s: %w", c.to, err)})
	}
}

// retry ends the rest before the next attempt to connect.
func (c *client) retry() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fails, c.nextAttempt = 0, time.Time{}
}

// Rests between attempts to connect, before jitter.
const (
	firstRest   = 20 * time.Millisecond
	longestRest = 500 * time.Millisecond
)

// broken fails all calls of a connection that has ended.
func (c *client) broken(out *batch, cause error) {
	c.mu.Lock()
	if c.out != out {
		c.mu.Unlock()
		return
	}
	c.out = nil
	c.err = cause
	var calls []*transport.Call
	for i := range c.slots {
		if call := c.slots[i].call; call != nil {
			calls = append(calls, c.takeLocked(id(uint32(i), c.slots[i].generation)))
		}
	}
	c.mu.Unlock()
	err := fmt.Errorf("%w: %s: %w", transport.ErrBroken, c.to, cause)
	for _, call := range calls {
		end(call, err)
	}
}

// read completes calls until the connection ends. It takes the lock once per read, not once per
// reply.
func (c *client) read(conn net.Conn) error {
	f := newFrames(conn)
	var calls []*transport.Call
	locked := false
	lock := func() {
		if !locked {
			locked = true
			c.mu.Lock()
			c.lastReply = time.Now()
		}
	}
	f.refused = func(id uint32, reason byte) {
		lock()
		if call := c.takeLocked(id); call != nil {
			call.Reply, call.Err = call.Reply[:0], fmt.Errorf("tcp: %s: %w", c.to, refusalError(reason))
			calls = append(calls, call)
		}
	}
	reply := func(id uint32, payload []byte) {
		lock()
		if id == keepAliveID {
			c.pongLocked()
		} else if call := c.takeLocked(id); call != nil {
			call.Reply, call.Err = append(call.Reply[:0], payload...), nil
			calls = append(calls, call)
		}
	}
	// Collect the calls that one read has answered, and complete them without the lock.
	for {
		calls, locked = calls[:0], false
		err := f.next(reply)
		if locked {
			c.mu.Unlock()
		}
		for i, call := range calls {
			calls[i] = nil
			end(call, call.Err)
		}
		if err != nil {
			return err
		}
	}
}

func (c *client) pongLocked() {
	if c.pinged.IsZero() {
		return
	}
	took := time.Since(c.pinged)
	c.pinged = time.Time{}
	if c.rtt == 0 {
		c.rtt = took
	}
	c.rtt += (took - c.rtt) / 8 // smoothed as TCP does it (RFC 6298)
}

// errSilent reports that nothing was heard from the peer for Patience.
var errSilent = errors.New("no sign of life")

// watch sends keep-alives until the connection is gone, and ends a connection that shows no sign of
// life.
func (c *client) watch(out *batch, gone <-chan struct{}) {
	tick := time.NewTicker(c.t.cfg.KeepAlive)
	defer tick.Stop()
	for {
		var now time.Time
		select {
		case now = <-tick.C:
		case <-gone:
			return
		}
		c.mu.Lock()
		if c.out != out {
			c.mu.Unlock()
			return
		}
		silent := now.Sub(c.lastReply) > c.t.cfg.Patience && !c.pinged.IsZero()
		if c.pinged.IsZero() {
			c.pinged = now
		}
		c.mu.Unlock()
		if silent {
			c.broken(out, errSilent)
			out.fail()
			return
		}
		if flush, err := out.add(keepAliveID, nil, true); err != nil {
			continue // the connection has ended or is full: the reader or Patience decides
		} else if flush {
			out.flush(false)
		}
	}
}

func (c *client) close() {
	c.mu.Lock()
	c.closed = true
	out, queued := c.out, c.queued
	c.queued = nil
	c.mu.Unlock()
	if out != nil {
		c.broken(out, transport.ErrClosed)
		out.fail()
	}
	for _, call := range queued {
		end(call, notSent{transport.ErrClosed})
	}
}

func (c *client) health() transport.Health {
	c.mu.Lock()
	defer c.mu.Unlock()
	return transport.Health{Connected: c.out != nil, LastReply: c.lastReply, RTT: c.rtt}
}

// end completes a call.
func end(call *transport.Call, err error) {
	call.Err = err
	call.Done.Complete(call)
}

// notSent marks the error of a request that never left this node.
type notSent struct{ err error }

func (e notSent) Error() string        { return e.err.Error() }
func (e notSent) Unwrap() error        { return e.err }
func (e notSent) Is(target error) bool { return target == transport.ErrNotSent }
