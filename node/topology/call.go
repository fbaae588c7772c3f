package topology

import (
	"context"
	"fmt"

	"viakv/node/transport"
	"viakv/node/wire"
)

// call sends a request to one process and waits for its reply, at most for callTimeout.
func (m *Manager) call(ctx context.Context, to transport.Address, c *wire.Control) (wire.ControlReply, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	c.From = m.self.BootID
	var r wire.ControlReply
	reply, err := transport.Ask(ctx, m.cfg.Transport, to, transport.Data, wire.AppendControl(nil, c))
	if err == nil {
		r, err = wire.ParseControlReply(reply)
	}
	if err != nil {
		return wire.ControlReply{}, fmt.Errorf("topology: %v to %s: %w", c.Op, to, err)
	}
	return r, nil
}

// discover asks which process is at an address. A node that has two memberships for a while answers
// for the one with this boot ID; zero stands for any.
func (m *Manager) discover(ctx context.Context, to transport.Address, boot uint64) (presence, error) {
	r, err := m.call(ctx, to, &wire.Control{Op: wire.OpDiscover, To: boot})
	if err != nil {
		return presence{}, err
	}
	var p presence
	if err := decodeBody(r.Body, &p); err != nil {
		return presence{}, err
	}
	return p, nil
}
