package transport

import "context"

// waiter lets a goroutine wait for one call.
type waiter chan *Call

// Complete implements Completer.
func (w waiter) Complete(c *Call) { w <- c }

// Ask sends a request and waits for its reply, which belongs to the caller. When ctx ends first,
// Ask withdraws the call and returns ctx.Err(), unless the call has completed by then.
func Ask(ctx context.Context, t Transport, to Address, class Class, request []byte) ([]byte, error) {
	done := make(waiter, 1)
	c := &Call{Request: request, Done: done, Urgent: true}
	t.Go(to, class, c)
	select {
	case <-done:
		return c.Reply, c.Err
	case <-ctx.Done():
	}
	if t.Cancel(c) {
		return nil, ctx.Err()
	}
	<-done // the call has completed in this moment, or is about to
	return c.Reply, c.Err
}
