package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// cancelPatience is how long a cancelled statement may take to answer before its connection is
// given up. It is taken from the end of the request's time, and is at most a quarter of that.
const cancelPatience = 300 * time.Millisecond

type giveUpKey struct{}

// cancelBefore returns a context that ends some time before the deadline. In that time the server
// can be asked to cancel, and can answer. At the deadline itself the connection is given up.
func cancelBefore(ctx context.Context, deadline time.Time) (context.Context, context.CancelFunc) {
	ctx = context.WithValue(ctx, giveUpKey{}, deadline)
	return context.WithDeadline(ctx, deadline.Add(-min(cancelPatience, time.Until(deadline)/4)))
}

// canceller ends a statement whose context has ended by asking the server to cancel it. So the
// outcome becomes known and the connection survives. The driver's default drops the connection and
// leaves the outcome open.
//
// The driver has a handler like this one. It pauses after each cancellation, lest a late one hit
// the connection's next statement. Here a statement that is hit in this way is re-run (P3).
type canceller struct {
	conn *pgconn.PgConn
	stop context.CancelFunc
	done chan struct{}
}

// HandleCancel implements ctxwatch.Handler. It must not block.
func (c *canceller) HandleCancel(ended context.Context) {
	giveUp, ok := ended.Value(giveUpKey{}).(time.Time)
	if now := time.Now(); !ok || giveUp.After(now.Add(cancelPatience)) {
		giveUp = now.Add(cancelPatience) // the caller has left long before the deadline
	}
	_ = c.conn.Conn().SetDeadline(giveUp) // fails only on a closed connection, whose statement has ended
	ctx, stop := context.WithDeadline(context.Background(), giveUp)
	c.stop, c.done = stop, make(chan struct{})
	go func(done chan struct{}) {
		defer close(done)
		_ = c.conn.CancelRequest(ctx) // if it fails, the deadline remains
	}(c.done)
}

// HandleUnwatchAfterCancel implements ctxwatch.Handler. The statement has ended, either by the
// cancellation or by itself.
func (c *canceller) HandleUnwatchAfterCancel() {
	c.stop()
	<-c.done
	_ = c.conn.Conn().SetDeadline(time.Time{})
}
