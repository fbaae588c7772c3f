package topology

import (
	"context"
	"errors"
	"fmt"
	"time"

	"viakv/api/kv"
)

// attempts bounds one try to be admitted; the next one looks at the seeds again, under the same
// operation id.
const attempts = 5 // calls

// enter asks the cluster that via is a member of to admit this process: as the next one at its slot, or as a new node. Nil
// without a topology means: not now.
func (m *Manager) enter(ctx context.Context, via Identity, t *Topology) error {
	if m.learn(t) { // it names this process already: a founding document that was missed, or an answer that was lost
		return nil
	}
	m.mu.Lock()
	bound, again := m.promised.BootID != 0, m.entering
	m.entering = m.entering || !bound
	m.mu.Unlock()
	if bound { // its founder has yet to show that it does not found
		m.waitFor("the node that this one promised itself to, or its end")
		return nil
	}
	id := OperationID{m.self.BootID, 0}
	if !again { // later on the reason is what the last try has met
		m.waitFor(fmt.Sprintf("admission to cluster %v through %s", t.Cluster, via.Name))
	}
	ctx, cancel := context.WithTimeout(ctx, attempts*m.cfg.CallTimeout)
	defer cancel()
	r, err := m.submit(ctx, &request{ID: id, Purpose: toEnter, Node: &m.self}, newDirectory(t, via))
	switch {
	case err == nil:
		if t := r.Topology; t != nil {
			if role, _ := t.Role(m.self.BootID); role == Stranger {
				return ErrAbandoned // admitted once, and given up before it heard of that
			}
		}
		return nil // the answer's topology has been learnt
	case errors.Is(err, kv.ErrUnavailable), errors.Is(err, kv.ErrQuorumLoss) && m.cfg.JoinVia == "":
		m.waitBecause(err, fmt.Sprintf("admission to cluster %v: %v", t.Cluster, err))
		return nil
	case errors.Is(err, ErrDeparting): // it began a moment ago; the next look at the peer shows it
		return nil
	case errors.Is(err, kv.ErrPeerUnreachable): // this process, for the leader
		m.waitBecause(err, fmt.Sprintf("admission to cluster %v: %s", t.Cluster, detail(err)))
	}
	return err
}

// fits reports whether a member's data has room here. It is asked before a new node's admission
// only: a former member's slot counts on its next process, and a request that was made may be
// agreed on yet.
func (m *Manager) fits(p *presence) error {
	m.mu.Lock()
	entering := m.entering
	m.mu.Unlock()
	if m.cfg.Fits == nil || entering || p.Topology == nil || p.Topology.Slot(m.self.Name) != nil {
		return nil
	}
	if role, _ := p.Topology.Role(m.self.BootID); role != Stranger { // it was admitted, and has not heard of it
		return nil
	}
	return m.cfg.Fits(p.Memory)
}

// join enters the cluster of a given member and founds none.
func (m *Manager) join(ctx context.Context) error {
	reached := time.Now()
	for ctx.Err() == nil {
		changed := m.changed.wait()
		p, err := m.askPeer(ctx)
		full := m.fits(&p)
		switch {
		case err != nil:
			m.waitFor(fmt.Sprintf("%s to answer: %s", m.cfg.JoinVia, cause(err)))
			if time.Since(reached) > m.cfg.Patience {
				return kv.Detail(kv.ErrPeerSilent, "%s: %s", m.cfg.JoinVia, cause(err))
			}
		case p.Name == m.self.Name && p.Peer == m.self.Peer:
			return kv.Detail(kv.ErrAlreadyMember, "%s is this node itself", m.cfg.JoinVia)
		case p.Going != "":
			reached = time.Now()
			m.waitFor(fmt.Sprintf("%s, which is joining another cluster itself", p.Name))
			if m.yields(ctx, p) {
				return kv.Detail(kv.ErrAlreadyMember, "%s is joining this node's cluster at the same time, and that goes first", p.Name)
			}
		case p.Topology == nil || p.State == StateLeft:
			m.waitFor(fmt.Sprintf("%s to be a member of a cluster (it is %s)", m.cfg.JoinVia, p.State))
			if time.Since(reached) > m.cfg.Patience {
				return kv.Detail(kv.ErrPeerUnreachable, "%s is no member of a cluster (it is %s)", m.cfg.JoinVia, p.State)
			}
		case full != nil:
			return full
		default:
			switch err := m.enter(ctx, p.Identity, p.Topology); {
			case err == nil:
				reached = time.Now()
			case !errors.Is(err, kv.ErrPeerUnreachable) || time.Since(reached) > m.cfg.Patience:
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
