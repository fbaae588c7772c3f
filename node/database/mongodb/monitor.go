package mongodb

import (
	"context"
	"sync/atomic"

	"go.mongodb.org/mongo-driver/v2/event"
)

// sendings counts how often a request's command went out to a server (N4): the driver may repeat it.
type sendings struct{ n atomic.Int32 }

type sendingsKey struct{}

// counting returns a context under which the commands sent are counted.
func counting(ctx context.Context) (context.Context, *sendings) {
	s := &sendings{}
	return context.WithValue(ctx, sendingsKey{}, s), s
}

// commandMonitor counts into the request's own counter; commands of the driver itself have none.
func commandMonitor() *event.CommandMonitor {
	return &event.CommandMonitor{Started: func(ctx context.Context, _ *event.CommandStartedEvent) {
		if s, ok := ctx.Value(sendingsKey{}).(*sendings); ok {
			s.n.Add(1)
		}
	}}
}

// connections counts the pool's connections. The driver tells no figures, only events.
type connections struct {
	open, busy atomic.Int64
}

func (c *connections) monitor() *event.PoolMonitor {
	return &event.PoolMonitor{Event: func(e *event.PoolEvent) {
		switch e.Type {
		case event.ConnectionReady:
			c.open.Add(1)
		case event.ConnectionClosed:
			c.open.Add(-1)
		case event.ConnectionCheckedOut:
			c.busy.Add(1)
		case event.ConnectionCheckedIn:
			c.busy.Add(-1)
		}
	}}
}
