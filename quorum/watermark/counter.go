package watermark

import (
	"sync"
	"sync/atomic"
)

// Counter is a node's Lamport counter (Lamport, CACM 21, 1978), and the numbers that it has given
// out and that are still open. There is one for all keys, so that two writes of one coordinator
// never share a number. It is never behind anything that the node has seen (D3). The zero value is
// ready to use.
type Counter struct {
	n atomic.Uint64 // the highest number seen or given out
	// least is at or below the least open number. Zero: none is open.
	least atomic.Uint64

	mu    sync.Mutex // guards the list of the open numbers, ascending
	first *Open
	last  *Open
	free  *Open // numbers that are closed, for reuse
}

// Open is a number that was taken and not closed yet.
type Open struct {
	N uint64

	counter    *Counter
	prev, next *Open
}

// Now returns the highest number seen or given out.
func (c *Counter) Now() uint64 { return c.n.Load() }

// Observe moves the counter up to a number seen elsewhere.
func (c *Counter) Observe(n uint64) {
	for {
		now := c.n.Load()
		if n <= now || c.n.CompareAndSwap(now, n) {
			return
		}
	}
}

// Take gives out a number above everything seen, and enters it as open.
func (c *Counter) Take() *Open {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.first == nil {
		// Before the counter moves: Mark reads the counter first, and then this.
		c.least.Store(c.n.Load() + 1)
	}
	o := c.free
	if o == nil {
		o = &Open{counter: c}
	} else {
		c.free = o.next
	}
	o.N, o.prev, o.next = c.n.Add(1), c.last, nil
	if c.last == nil {
		c.first = o
	} else {
		c.last.next = o
	}
	c.last = o
	return o
}

// Close says that the number's record is complete, or that it is certainly nowhere. It must be
// called once.
func (o *Open) Close() {
	c := o.counter
	c.mu.Lock()
	defer c.mu.Unlock()
	if o.prev == nil {
		c.first = o.next
	} else {
		o.prev.next = o.next
	}
	if o.next == nil {
		c.last = o.prev
	} else {
		o.next.prev = o.prev
	}
	switch {
	case c.first == nil:
		c.least.Store(0)
	case o.prev == nil:
		c.least.Store(c.first.N)
	}
	o.prev, o.next, c.free = nil, c.free, o
}

// Mark returns the watermark: each record of this node whose number lies below it is complete.
func (c *Counter) Mark() uint64 {
	now := c.n.Load()
	if least := c.least.Load(); least != 0 {
		return least
	}
	return now + 1
}
