package mongodb

import (
	"context"
	"sync/atomic"
	"time"

	"go.mongodb.org/mongo-driver/v2/event"

	"viakv/node/database/stateless"
)

type sendingsKey struct{}

// counting returns a context that counts how often a request's command goes out to a server (N4),
// because the driver may repeat it.
func counting(ctx context.Context) (_ context.Context, sendings *atomic.Int32) {
	sendings = new(atomic.Int32)
	return context.WithValue(ctx, sendingsKey{}, sendings), sendings
}

// sendingsOf returns how often the command of a request went out, whose context came from counting.
func sendingsOf(ctx context.Context) int32 {
	if sendings, ok := ctx.Value(sendingsKey{}).(*atomic.Int32); ok {
		return sendings.Load()
	}
	return 0
}

// commandMonitor counts each sending in the counter of its request. Commands of the driver itself
// have no counter.
func commandMonitor() *event.CommandMonitor {
	return &event.CommandMonitor{Started: func(ctx context.Context, _ *event.CommandStartedEvent) {
		if sendings, ok := ctx.Value(sendingsKey{}).(*atomic.Int32); ok {
			sendings.Add(1)
		}
	}}
}

// connections counts the connections of the pools of all servers together. The driver reports
// events, and no figures.
type connections struct {
	limit int64 // of the pool of each server

	opened, closed, busy, waiting, failed, waited atomic.Int64
}

func (c *connections) monitor() *event.PoolMonitor {
	return &event.PoolMonitor{Event: func(e *event.PoolEvent) {
		switch e.Type {
		case event.ConnectionCreated:
			c.opened.Add(1)
		case event.ConnectionClosed: // also for a connection that never became ready
			c.closed.Add(1)
		case event.ConnectionCheckOutStarted:
			c.waiting.Add(1)
		case event.ConnectionCheckOutFailed:
			c.waiting.Add(-1)
			c.waited.Add(int64(e.Duration))
			c.failed.Add(1)
		case event.ConnectionCheckedOut:
			c.busy.Add(1)
			c.waiting.Add(-1)
			c.waited.Add(int64(e.Duration))
		case event.ConnectionCheckedIn:
			c.busy.Add(-1)
		}
	}}
}

// pool returns the present figures. It reads them one after the other, so a change meanwhile may
// show in one figure and not in another.
func (c *connections) pool() stateless.Pool {
	busy := max(0, c.busy.Load())
	return stateless.Pool{
		InUse: busy, Idle: max(0, c.opened.Load()-c.closed.Load()-busy), Limit: c.limit, Waiting: max(0, c.waiting.Load()),
		Opened: uint64(c.opened.Load()), Failed: uint64(c.failed.Load()), Waited: time.Duration(c.waited.Load()),
	}
}
