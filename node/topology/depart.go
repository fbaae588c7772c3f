package topology

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"viakv/api/kv"
	"viakv/node/transport"
)

// A node that is alone in its cluster may join another one, and gives its own cluster up for that.
// Nodes that join each other at the same time, in pairs or rings, must not all go over: each would
// be let into a cluster whose members have all gone.
//
// So a node departs first, by an entry in its own log. From then on its cluster admits no node, and
// a node that was admitted before keeps it from departing. A node that finds the node that it joins
// departed waits until that one has gone over, and follows it. In a ring all nodes would wait.
// There the node with the lowest boot ID gives way, and the others follow one another to it.

// Depart prepares the join of another cluster through a peer. This membership's cluster admits no
// node from now on, if this node is alone in it. An error says why the cluster cannot be given up.
func (m *Manager) Depart(ctx context.Context, to transport.Address) error {
	m.mu.Lock()
	m.joiningVia = to
	m.mu.Unlock()
	if t := m.newest(); t == nil || !t.includes(m.self.BootID) {
		return nil
	}
	err := m.carryOut(ctx, &request{Purpose: toDepart})
	if err != nil {
		u, ok := errors.AsType[*kv.Unavailable](err)
		m.cancelDeparture(ctx, ok && u.Outcome == kv.Unknown)
	}
	return err
}

// CancelDeparture ends a departure that came to nothing.
func (m *Manager) CancelDeparture(ctx context.Context) { m.cancelDeparture(ctx, false) }

// cancelDeparture ends a departure. With open, its entry may be in the log and not be agreed yet.
func (m *Manager) cancelDeparture(ctx context.Context, open bool) {
	m.mu.Lock()
	m.joiningVia = ""
	m.mu.Unlock()
	if t := m.newest(); t != nil && (t.Departing || open) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cancelTime)
		defer cancel()
		if _, err := m.propose(ctx, &request{Purpose: toStay}); err != nil {
			m.log.Warn("the node's own cluster admits no node until the node is restarted", zap.Error(err))
		}
	}
}

// cancelTime bounds a proposal to a cluster of one, which needs no other node.
const cancelTime = 5 * time.Second

// Withdraw tells the cluster that this process, which is joining it, does not go on. Nil means that
// the process is no member and will not become one. ErrAlreadyMember means that it has become one.
// Another error leaves that open.
func (m *Manager) Withdraw(ctx context.Context) error {
	if m.newest() == nil {
		return m.withdrawUnheard(ctx)
	}
	_, err := m.propose(ctx, &request{Purpose: toWithdraw, Name: m.self.Name})
	return err
}

// withdrawUnheard withdraws a process that has not heard of its admission. It may have been
// admitted all the same.
func (m *Manager) withdrawUnheard(ctx context.Context) error {
	p, err := m.discover(ctx, m.cfg.JoinVia, 0)
	switch {
	case err != nil:
		return err
	case p.Topology == nil:
		return ErrOver // the process there now is in no cluster
	}
	r := &request{ID: m.nextOperation(), Purpose: toWithdraw, Name: m.self.Name}
	_, err = m.submit(ctx, r, newDirectory(p.Topology, p.Identity))
	return err
}

// yields reports whether this node must give way. It must when it and the node that it joins are in
// a ring of nodes that join one another, and its present membership has the lowest boot ID of all.
func (m *Manager) yields(ctx context.Context, p presence) bool {
	lowest := p.BootID
	for range MaxSlots {
		if p.JoiningVia == "" {
			return false
		}
		next, err := m.discover(ctx, p.JoiningVia, 0)
		if err != nil {
			return false
		}
		if next.Name == m.self.Name && next.Peer == m.self.Peer {
			return next.BootID < lowest
		}
		lowest, p = min(lowest, next.BootID), next
	}
	return false
}
