package lease

import (
	"sync/atomic"
	"time"
)

// Marker reads a number that changes when the machine has stood still while others went on: it was
// moved to another host, or restored from a snapshot. A Marker does not block.
type Marker func() uint64

// Jumping returns a clock that shows the readings of another one, and jumps an hour ahead whenever
// the marker has changed. So what a holder counts on by this clock is over then. It is not for a
// grantor, whose promises must not end early.
//
// The marker is read before the clock. If the machine stands still between the two, the reading is
// one of the time before.
func Jumping(clock Clock, marker Marker) Clock {
	type jump struct {
		marker uint64
		ahead  time.Duration
	}
	var last atomic.Pointer[jump]
	last.Store(&jump{marker: marker()})
	return func() time.Duration {
		for {
			l := last.Load() // first, so that a marker that differs is newer
			now := marker()
			if now == l.marker {
				return clock() + l.ahead
			}
			last.CompareAndSwap(l, &jump{now, l.ahead + time.Hour})
		}
	}
}
