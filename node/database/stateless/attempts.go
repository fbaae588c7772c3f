package stateless

import (
	"context"
	"math/rand/v2"
	"time"
)

// Waits between attempts double from the first to the longest, and each is drawn between half of it and all of it, so that
// nodes that failed together do not come back together.
const (
	firstWait   = 2 * time.Millisecond
	longestWait = 250 * time.Millisecond
)

// Wait blocks before attempt n+1 (n from 1) and reports whether it may be made: false when ctx ended or would end first.
func Wait(ctx context.Context, n int) bool {
	d := longestWait
	if n < 8 {
		d = min(longestWait, firstWait<<(n-1))
	}
	d = d/2 + rand.N(d/2)
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= d {
		return false
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// Deadline returns the context of one request: until the deadline, or for the default time-out when there is none.
func Deadline(ctx context.Context, deadline time.Time, timeout time.Duration) (context.Context, context.CancelFunc) {
	if deadline.IsZero() {
		deadline = time.Now().Add(timeout)
	}
	return context.WithDeadline(ctx, deadline)
}
