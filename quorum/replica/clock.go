package replica

import "sync/atomic"

// Clock is a node's Lamport counter (Lamport, CACM 21, 1978). There is one for all keys, so that
// two writes of one coordinator never share a counter. It is never behind anything that the node
// has seen (D3).
type Clock struct{ n atomic.Uint64 }

// Now returns the highest counter seen or given out.
func (c *Clock) Now() uint64 { return c.n.Load() }

// Observe moves the clock up to a counter seen elsewhere.
func (c *Clock) Observe(n uint64) {
	for {
		now := c.n.Load()
		if n <= now || c.n.CompareAndSwap(now, n) {
			return
		}
	}
}

// Next gives out a counter above everything seen.
func (c *Clock) Next() uint64 { return c.n.Add(1) }
