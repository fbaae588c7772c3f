package topology

import (
	"context"
	"errors"
	"fmt"
	"time"

	"viakv/api/kv"
	"viakv/node/transport"
)

// A node that is alone in its cluster may join another one, and gives its own up for that. Nodes
// that join each other at the same time, in pairs or rings, must not all go over: each would be let
// into a cluster that nobody is in any more.
//
// So a node departs first, by an entry in its own log: from then on its cluster admits nobody, and
// one that it has admitted keeps it from departing. A node that finds the one that it joins
// departed waits until that has gone over, and follows it. In a ring all would wait; there the node
// with the lowest boot id gives way, and the others follow one another to it.

// Depart prepares the join of another cluster through a peer: this life's cluster admits nobody
// from now on, if it is alone in it. An error says why it cannot be given up.
func (m *Manager) Depart(ctx context.Context, to transport.Address) error {
	m.mu.Lock()
	m.going = to
	m.mu.Unlock()
	t := m.newest()
	if t == nil {
		return nil
	}
	if role, _ := t.Role(m.self.BootID); role == Stranger {
		return nil
	}
	r, err := m.propose(ctx, &request{Purpose: toDepart})
	if err == nil {
		err = m.awaitAdopted(ctx, r.Epoch)
	}
	if err != nil {
		var u *kv.Unavailable
		m.cancelDeparture(ctx, errors.As(err, &u) && u.Outcome == kv.Unknown)
	}
	return err
}

// CancelDeparture ends a departure that has come to nothing.
func (m *Manager) CancelDeparture(ctx context.Context) { m.cancelDeparture(ctx, false) }

// cancelDeparture ends a departure; open: its entry may be in the log and not be agreed yet.
func (m *Manager) cancelDeparture(ctx context.Context, open bool) {
	m.mu.Lock()
	m.going = ""
	m.mu.Unlock()
	if t := m.newest(); t != nil && (t.Departing || open) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cancelTime)
		defer cancel()
		if _, err := m.propose(ctx, &request{Purpose: toStay}); err != nil {
			m.log.Warn(fmt.Sprintf("the node's own cluster admits nobody until the node is restarted: %v", err))
		}
	}
}

// cancelTime bounds a proposal to a cluster of one, which needs nobody else.
const cancelTime = 5 * time.Second

// Withdraw tells the cluster that this process, which is joining it, does not go on. Nil: it is no
// member and will not become one. ErrAlreadyMember: it has become one. Another error leaves that
// open.
func (m *Manager) Withdraw(ctx context.Context) error {
	if m.newest() == nil {
		return m.withdrawUnheard(ctx)
	}
	_, err := m.propose(ctx, &request{Purpose: toWithdraw, Name: m.self.Name})
	return err
}

// withdrawUnheard withdraws a process that has not heard of its admission: it may have been
// admitted all the same.
func (m *Manager) withdrawUnheard(ctx context.Context) error {
	p, err := m.discover(ctx, m.cfg.JoinVia)
	switch {
	case err != nil:
		return err
	case p.Topology == nil:
		return ErrOver // whoever is there now is in no cluster
	}
	r := &request{ID: m.nextOperation(), Purpose: toWithdraw, Name: m.self.Name}
	_, err = m.submit(ctx, r, newDirectory(p.Topology, p.Identity))
	return err
}

// yields reports whether this process's node and the one that it joins are in a ring of nodes
// that join one another, and this one is to give way: the present life of its node has the lowest
// boot id of all.
func (m *Manager) yields(ctx context.Context, p presence) bool {
	lowest := p.BootID
	for range MaxSlots {
		if p.Going == "" {
			return false
		}
		next, err := m.discover(ctx, p.Going)
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
