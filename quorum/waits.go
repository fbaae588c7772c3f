package quorum

import (
	"sync/atomic"
	"time"
)

// A set or a remove waits for members that hold leases, when as many members have acknowledged it
// as it needs, and it is not complete because they have named others (L4). This file measures how
// long.

// leastWait is the least wait that counts. The answers of members come one after another, so almost
// each write waits a moment for the last one.
const leastWait = time.Millisecond

// waitBounds are the upper bounds of the classes of Waits, in seconds.
var waitBounds = [...]float64{2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, 100e-3, 250e-3, 500e-3, 1, 2.5}

// Waits are the waits of sets and removes for members that hold leases, of a millisecond or more.
type Waits struct {
	Count uint64
	Total time.Duration
	// Classes counts the waits by their lengths. Element i has those that are no longer than
	// waitBounds[i], and longer than the bound before. The last element has the rest.
	Classes [len(waitBounds) + 1]uint64
}

// UpTo returns how many waits were no longer than each bound.
func (w *Waits) UpTo() map[float64]uint64 {
	out, n := map[float64]uint64{}, uint64(0)
	for i, bound := range waitBounds {
		n += w.Classes[i]
		out[bound] = n
	}
	return out
}

// waits counts Waits.
type waits struct {
	total   atomic.Int64 // nanoseconds
	classes [len(waitBounds) + 1]atomic.Uint64
}

// add adds n waits that were equally long.
func (w *waits) add(d time.Duration, n int) {
	if d < leastWait {
		return
	}
	class := 0
	for class < len(waitBounds) && d.Seconds() > waitBounds[class] {
		class++
	}
	w.classes[class].Add(uint64(n))
	w.total.Add(int64(d) * int64(n))
}

func (w *waits) stats() (out Waits) {
	for i := range w.classes {
		out.Classes[i] = w.classes[i].Load()
		out.Count += out.Classes[i]
	}
	out.Total = time.Duration(w.total.Load())
	return out
}

// waitingLocked notes from when to when the operation waits for members that hold leases.
func (o *operation) waitingLocked() {
	switch waiting := o.phase.naming && o.phase.blocked(); {
	case waiting == !o.waiting.IsZero():
	case waiting:
		o.waiting = time.Now()
	default:
		o.waited += time.Since(o.waiting)
		o.waiting = time.Time{}
	}
}

// countWaits counts how long a write has waited, or each of many. Its last phase has ended, met or
// not.
func (o *operation) countWaits() {
	o.mu.Lock()
	if !o.waiting.IsZero() {
		o.waited += time.Since(o.waiting)
	}
	waited := o.waited
	o.waiting, o.waited = time.Time{}, 0
	o.mu.Unlock()
	o.c.stats.waits.add(waited, max(1, len(o.items)))
}
