package handoff

import (
	"context"
	"time"

	"viakv/api/sleep"
)

// pacer holds a flow of bytes to a rate: a repair must not take the machine from clients' requests.
// The nil pacer does not pace.
type pacer struct {
	rate int64     // bytes per second
	free time.Time // when all bytes that were paid for so far may have been moved
}

func newPacer(rate int64) *pacer {
	if rate <= 0 {
		return nil
	}
	return &pacer{rate: rate}
}

// burst is how far a flow may run ahead of its rate, so that small exchanges do not wait.
const burst = 50 * time.Millisecond

// after returns how long to wait when size bytes were moved at the time now.
func (p *pacer) after(now time.Time, size int) time.Duration {
	if p.free.Before(now) {
		p.free = now
	}
	p.free = p.free.Add(time.Duration(int64(size) * int64(time.Second) / p.rate))
	return max(0, p.free.Sub(now)-burst)
}

// pay waits until size bytes fit the rate.
func (p *pacer) pay(ctx context.Context, size int) error {
	if p == nil {
		return ctx.Err()
	}
	if !sleep.For(ctx, p.after(time.Now(), size)) {
		return ctx.Err()
	}
	return nil
}
