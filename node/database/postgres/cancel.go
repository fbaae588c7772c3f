package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// cancelPatience is how long a statement that was cancelled may take to say so before its connection is given up. It is taken from the end of
// the request's time, of which it is at most a quarter.
const cancelPatience = 300 * time.Millisecond

type giveUpKey struct{}

// cancelBefore returns a context that ends early enough before the deadline for the server to be asked to cancel, and to
// answer; at the deadline itself the connection is given up.
func cancelBefore(ctx context.Context, deadline time.Time) (context.Context, context.CancelFunc) {
	ctx = context.WithValue(ctx, giveUpKey{}, deadline)
	return context.WithDeadline(ctx, deadline.Add(-min(cancelPatience, time.Until(deadline)/4)))
}

// canceller ends a statement whose context has ended by asking the server. So the outcome becomes known and the connection survives; the driver's
// default drops the connection and leaves the outcome open. The driver has a handler like this one, with a pause behind
// each cancellation lest a late one hit the connection's next statement; here such a hit is re-run (P3).
type canceller struct {
	conn *pgconn.PgConn
	stop context.CancelFunc
	done chan struct{}
}

// HandleCancel implements ctxwatch.Handler. It must not block.
func (c *canceller) HandleCancel(ended context.Context) {
	giveUp, ok := ended.Value(giveUpKey{}).(time.Time)
	if now := time.Now(); !ok || giveUp.After(now.Add(cancelPatience)) {
		giveUp = now.Add(cancelPatience) // the caller has gone long before the deadline
	}
	_ = c.conn.Conn().SetDeadline(giveUp) // it fails on a closed connection only, and then the statement has ended
	ctx, stop := context.WithDeadline(context.Background(), giveUp)
	c.stop, c.done = stop, make(chan struct{})
	go func(done chan struct{}) {
		defer close(done)
		_ = c.conn.CancelRequest(ctx) // the deadline is what remains
	}(c.done)
}

// HandleUnwatchAfterCancel implements ctxwatch.Handler: the statement has ended, one way or the other.
func (c *canceller) HandleUnwatchAfterCancel() {
	c.stop()
	<-c.done
	_ = c.conn.Conn().SetDeadline(time.Time{})
}
