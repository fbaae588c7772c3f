package topology

import (
	"context"

	"viakv/node/wire"
)

// Serve answers a control request: it appends the reply to dst and returns it. It may block until
// ctx ends. It keeps no reference to request.
func (m *Manager) Serve(ctx context.Context, dst, request []byte) []byte {
	c, err := wire.ParseControl(request)
	if err != nil {
		return m.reply(dst, wire.ControlMalformed, nil)
	}
	if c.Op == wire.OpDiscover {
		return m.reply(dst, wire.ControlOK, encodeJSON(m.present(true)))
	}
	if c.To != m.self.BootID { // D1: meant for another process, which is not here
		return m.reply(dst, wire.ControlWrongBootID, encodeJSON(m.present(false)))
	}
	if m.ended() {
		return m.reply(dst, m.serveClosed(ctx, &c), nil)
	}
	var status wire.ControlStatus
	var body []byte
	switch c.Op {
	case wire.OpPromise:
		status, body = m.servePromise(ctx, &c)
	case wire.OpFound:
		status = m.serveFound(&c)
	case wire.OpUpdate:
		status, body = m.serveUpdate(ctx, &c)
	case wire.OpSubmit:
		status, body = m.serveSubmit(ctx, &c)
	case wire.OpRaft:
		status = m.serveRaft(ctx, &c)
	default:
		status = wire.ControlMalformed
	}
	return m.reply(dst, status, body)
}

func (m *Manager) reply(dst []byte, status wire.ControlStatus, body []byte) []byte {
	r := wire.ControlReply{Status: status, BootID: m.self.BootID, Body: body}
	if t := m.current(); t != nil {
		r.Cluster, r.Epoch = uint64(t.Cluster), t.Epoch
	}
	return wire.AppendControlReply(dst, &r)
}

// present says which process is here. Full adds what a member tells: its topology and memory.
func (m *Manager) present(full bool) presence {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := presence{
		Identity: m.self, State: m.stateLocked(m.known), Stopping: m.stopping(), Promised: m.promised.BootID, JoiningVia: m.joiningVia,
	}
	if p.State == stateFounding && m.cfg.Addresses != nil {
		p.Addresses = m.cfg.Addresses()
	}
	if full && !m.over {
		p.Topology = m.known
		if m.cfg.Memory != nil {
			p.Memory = m.cfg.Memory()
		}
	}
	if m.group != nil {
		p.Leader = m.group.snapshot().leader
	}
	return p
}

func (m *Manager) stopping() bool { return m.cfg.Stopping != nil && m.cfg.Stopping() }

// servePromise gives a promise only to a founder that this process reaches at its advertised
// address: the members of a cluster must reach one another.
func (m *Manager) servePromise(ctx context.Context, c *wire.Control) (wire.ControlStatus, []byte) {
	p := new(promise)
	if decodeBody(c.Body, p) != nil || p.Founder.validate() != nil || p.Founder.BootID != c.From {
		return wire.ControlMalformed, nil
	}
	if m.promise(nil).BootID != c.From {
		found, err := m.reach(ctx, p.Founder)
		if fault := addressFault(p.Founder, found, err); fault != "" {
			return wire.ControlRefused, encodeJSON(objection{fault})
		}
	}
	if m.promise(p).BootID != c.From {
		return wire.ControlRefused, nil
	}
	return wire.ControlOK, nil
}

func (m *Manager) serveFound(c *wire.Control) wire.ControlStatus {
	t, err := Decode(c.Body)
	if err != nil || t.Founder != c.From {
		return wire.ControlMalformed
	}
	m.Learn(t)
	if k := m.newest(); k == nil || k.Cluster != t.Cluster {
		return wire.ControlRefused
	}
	return wire.ControlOK
}

func (m *Manager) serveSubmit(ctx context.Context, c *wire.Control) (wire.ControlStatus, []byte) {
	r := new(request)
	if err := decodeBody(c.Body, r); err != nil {
		return wire.ControlMalformed, nil
	}
	if t := m.newest(); t == nil || uint64(t.Cluster) != c.Cluster {
		return wire.ControlWrongCluster, nil
	}
	return wire.ControlOK, encodeJSON(m.decideHere(ctx, r))
}
