package topology

import (
	"context"
	"fmt"

	"viakv/node/transport"
	"viakv/node/wire"
)

// arrival is told when one call ends.
type arrival chan struct{}

// Complete signals the end of the call. The channel has room for one value, so it never blocks
// (T2).
func (a arrival) Complete(*transport.Call) { a <- struct{}{} }

// call sends a request to one process and waits for its reply, at most for callTimeout.
func (m *Manager) call(ctx context.Context, to transport.Address, c *wire.Control) (wire.ControlReply, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	c.From = m.self.BootID
	done := make(arrival, 1)
	call := &transport.Call{Request: wire.AppendControl(nil, c), Done: done, Urgent: true}
	m.cfg.Transport.Go(to, transport.Data, call)
	select {
	case <-done:
	case <-ctx.Done():
		if m.cfg.Transport.Cancel(call) {
			return wire.ControlReply{}, fmt.Errorf("topology: %v to %s: %w", c.Op, to, ctx.Err())
		}
		<-done
	}
	if call.Err != nil {
		return wire.ControlReply{}, fmt.Errorf("topology: %v to %s: %w", c.Op, to, call.Err)
	}
	r, err := wire.ParseControlReply(call.Reply)
	if err != nil {
		return wire.ControlReply{}, fmt.Errorf("topology: %v to %s: %w", c.Op, to, err)
	}
	return r, nil
}

// discover asks which process is at an address.
func (m *Manager) discover(ctx context.Context, to transport.Address) (presence, error) {
	r, err := m.call(ctx, to, &wire.Control{Op: wire.OpDiscover})
	if err != nil {
		return presence{}, err
	}
	var p presence
	if err := decodeBody(r.Body, &p); err != nil {
		return presence{}, err
	}
	return p, nil
}
