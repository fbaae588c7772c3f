package topology

import (
	"context"
	"errors"
	"fmt"
	"time"

	"viakv/api/kv"
)

// attempts bounds one try to be admitted. The next try looks at the seeds again, under the same
// operation ID.
const attempts = 5 // in calls

// enter asks the cluster of the member via to admit this process: as the next process at its slot,
// or as a new node. A nil error without a topology means: not now.
func (m *Manager) enter(ctx context.Context, via Identity, t *Topology) error {
	// The topology may name this process already: a founding document that was missed, or a lost
	// answer.
	if m.Learn(t) {
		return nil
	}
	m.mu.Lock()
	bound, again := m.promised.BootID != 0, m.entering
	m.entering = m.entering || !bound
	m.mu.Unlock()
	if bound { // the founder has yet to show that it does not found
		m.waitFor("the node that this one promised itself to, or its end")
		return nil
	}
	id := OperationID{m.self.BootID, 0}
	if !again { // later the reason is what the last try met
		m.waitFor(fmt.Sprintf("admission to cluster %v through %s", t.Cluster, via.Name))
	}
	ctx, cancel := context.WithTimeout(ctx, attempts*callTimeout)
	defer cancel()
	r, err := m.submit(ctx, &request{ID: id, Purpose: toEnter, Node: &m.self}, newDirectory(t, via))
	switch {
	case err == nil:
		if t := r.Topology; t != nil && !t.includes(m.self.BootID) {
			return ErrAbandoned // admitted once, and given up before it heard of that
		}
		return nil // submit has learnt the answer's topology
	case errors.Is(err, kv.ErrUnavailable), errors.Is(err, kv.ErrQuorumLoss) && m.cfg.JoinVia == "":
		m.waitBecause(err, fmt.Sprintf("admission to cluster %v: %v", t.Cluster, err))
		return nil
	case errors.Is(err, errDeparting): // the departure began a moment ago; the next look at the peer shows it
		return nil
	case errors.Is(err, kv.ErrPeerUnreachable): // the leader cannot reach this process
		m.waitBecause(err, fmt.Sprintf("admission to cluster %v: %s", t.Cluster, detail(err)))
	}
	return err
}

// fits returns nil when a member's data has room here, and otherwise why it has not. It checks that
// only before a new node asks for admission. A former member's slot counts on its next process, and
// a request that was made may be agreed on yet.
func (m *Manager) fits(p *presence) error {
	m.mu.Lock()
	entering := m.entering
	m.mu.Unlock()
	if m.cfg.Fits == nil || entering || p.Topology == nil || p.Topology.slot(m.self.Name) != nil {
		return nil
	}
	// This process was admitted, and has not heard of it.
	if p.Topology.includes(m.self.BootID) {
		return nil
	}
	return m.cfg.Fits(p.Memory)
}

// join enters the cluster of a given member, and founds none.
func (m *Manager) join(ctx context.Context) error {
	reached := time.Now()
	for ctx.Err() == nil {
		changed := m.changed.wait()
		p, err := m.askPeer(ctx)
		full := m.fits(&p)
		switch {
		case err != nil:
			m.waitFor(fmt.Sprintf("%s to answer: %s", m.cfg.JoinVia, cause(err)))
			if time.Since(reached) > patience {
				return kv.Detail(kv.ErrPeerSilent, "%s: %s", m.cfg.JoinVia, cause(err))
			}
		case p.Name == m.self.Name && p.Peer == m.self.Peer:
			return kv.Detail(kv.ErrAlreadyMember, "%s is this node itself", m.cfg.JoinVia)
		case p.JoiningVia != "":
			reached = time.Now()
			m.waitFor(fmt.Sprintf("%s, which is joining another cluster itself", p.Name))
			if m.yields(ctx, p) {
				return kv.Detail(kv.ErrAlreadyMember, "%s is joining this node's cluster at the same time, and that goes first", p.Name)
			}
		case p.Topology == nil || p.State == stateLeft:
			m.waitFor(fmt.Sprintf("%s to be a member of a cluster (it is %s)", m.cfg.JoinVia, p.State))
			if time.Since(reached) > patience {
				return kv.Detail(kv.ErrPeerUnreachable, "%s is no member of a cluster (it is %s)", m.cfg.JoinVia, p.State)
			}
		case full != nil:
			return full
		default:
			switch err := m.enter(ctx, p.Identity, p.Topology); {
			case err == nil:
				reached = time.Now()
			case !errors.Is(err, kv.ErrPeerUnreachable) || time.Since(reached) > patience:
				return err
			}
		}
		if m.newest() != nil {
			return nil
		}
		m.pause(ctx, changed)
	}
	return ctx.Err()
}
