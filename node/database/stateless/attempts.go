package stateless

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"viakv/api/sleep"
)

// Waits between attempts double from the first to the longest. Each wait is drawn between half of
// that and all of it, so that nodes that failed together do not come back together.
const (
	firstWait   = 2 * time.Millisecond
	longestWait = 250 * time.Millisecond
)

const (
	// DefaultTimeout bounds a request without a deadline.
	DefaultTimeout = 2 * time.Second
	// PageTimeout bounds a page of a scan without a deadline, unless the store's time-out is
	// longer.
	PageTimeout = 10 * time.Second

	// startTimeout bounds the wait for an unreachable database.
	startTimeout = 30 * time.Second
)

// Wait blocks before attempt n+1 (n from 1) and reports whether that attempt may be made. It
// returns false when ctx has ended, or would end before the wait does.
func Wait(ctx context.Context, n int) bool {
	d := longestWait
	if n < 8 {
		d = min(longestWait, firstWait<<(n-1))
	}
	d = d/2 + rand.N(d/2)
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= d {
		return false
	}
	return sleep.For(ctx, d)
}

// Start repeats the attempt to make a database ready. It ends when the attempt succeeds, when
// diagnose calls the error final, or when startTimeout or ctx leaves no time for another attempt.
//
// The error says why: first the reason by diagnose, then the attempt's error without secrets. The
// error of an attempt that was cut short says only that time ran out. So Start then keeps the
// reason of the attempt before it.
func Start(ctx context.Context, scrub Scrubber, diagnose func(error) (reason string, final bool), attempt func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	var why error
	for n := 1; ; n++ {
		err := attempt(ctx)
		if err == nil {
			return nil
		}
		reason, final := diagnose(err)
		cut := ctx.Err() != nil || errors.Is(err, context.DeadlineExceeded)
		if why == nil || final || !cut {
			why = fmt.Errorf("%s: %w", reason, scrub.Error(err))
		}
		if final || !Wait(ctx, n) {
			return why
		}
	}
}

// Until returns the deadline of a request: the given one or, if that is zero, the end of the
// time-out.
func Until(deadline time.Time, timeout time.Duration) time.Time {
	if deadline.IsZero() {
		return time.Now().Add(timeout)
	}
	return deadline
}
