// Package sleep waits for a while, or less when a context ends. Every package may use it.
package sleep

import (
	"context"
	"time"
)

// For waits for d and returns true, or false as soon as ctx ends. When d is not positive it does
// not wait and only says whether ctx goes on.
func For(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
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
