package topology

import (
	"viakv/quorum/version"
)

// Status is what a manager shows of itself. It is about the topology that the Host has adopted, so
// that a reader who sees "active" meets an active node.
type Status struct {
	State  string // one of the states of a membership
	Reason string // what the manager waits for; empty: nothing
	Cause  error  // the error that makes it wait; nil: none
	Leader string // of the consensus group, as last known; empty: none
	Epoch  version.Epoch
	Voters int // of the consensus group, as last applied here
}

// Status returns the manager's status. It never waits for a peer.
func (m *Manager) Status() Status {
	t := m.current()
	m.mu.Lock()
	defer m.mu.Unlock()
	s := Status{State: m.stateLocked(t), Reason: m.reason, Cause: m.cause}
	if t != nil {
		s.Epoch = t.Epoch
	}
	if m.group != nil {
		g := m.group.snapshot()
		s.Voters = len(g.voters)
		if id := m.known.process(g.leader); id != nil {
			s.Leader = id.Name
		}
	}
	return s
}

// leader returns the name of the consensus group's leader as last known, or "" when there is none.
func (m *Manager) leader() string { return m.Status().Leader }

// stateLocked returns the state of a membership whose topology is t. The caller holds mu.
func (m *Manager) stateLocked(t *Topology) string {
	switch {
	case m.over:
		return stateLeft
	case t == nil && (m.entering || m.cfg.JoinVia != ""):
		return stateJoining
	case t == nil:
		return stateFounding
	}
	if role, _ := t.Role(m.self.BootID); role != Stranger {
		return role.String()
	}
	return stateLeft
}

// process returns the process with this boot ID, or nil when t does not know it. Members of the
// epoch before are included: they have to hear that they are gone.
func (t *Topology) process(boot uint64) *Identity {
	if boot == 0 {
		return nil
	}
	for _, list := range [][]Slot{t.Slots, t.Prev.Slots} {
		for i := range list {
			if list[i].BootID == boot {
				return &list[i].Identity
			}
		}
	}
	if t.Joining != nil && t.Joining.BootID == boot {
		return &t.Joining.Identity
	}
	return nil
}
