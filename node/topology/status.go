package topology

import "viakv/quorum/version"

// Status is what a manager shows of itself: of the topology that its Host has adopted, so that who reads "active" meets an active node.
type Status struct {
	State  string // a State
	Reason string // what is waited for, while there is something
	Cause  error  // of the wait, where an error is; nil: none
	Leader string // of the consensus group, as last known; empty: none
	Epoch  version.Epoch
	Voters int // of the consensus group, as last applied here
}

// Status never blocks on a peer.
func (m *Manager) Status() Status {
	t := m.Current()
	m.mu.Lock()
	defer m.mu.Unlock()
	s := Status{State: string(m.stateLocked(t)), Reason: m.reason, Cause: m.cause}
	if t != nil {
		s.Epoch = t.Epoch
	}
	if m.group != nil {
		g := m.group.snapshot()
		s.Voters = len(g.voters)
		if m.known != nil {
			if id := m.known.process(g.leader); id != nil {
				s.Leader = id.Name
			}
		}
	}
	return s
}

// Leader returns the name of the consensus group's leader as last known, empty when there is none.
func (m *Manager) Leader() string { return m.Status().Leader }

// stateLocked returns the state of a life whose topology is t.
func (m *Manager) stateLocked(t *Topology) State {
	switch {
	case m.over:
		return StateLeft
	case t == nil && (m.entering || m.cfg.JoinVia != ""):
		return StateJoining
	case t == nil:
		return StateFounding
	}
	switch role, _ := t.Role(m.self.BootID); role {
	case Active:
		return StateActive
	case Rebuilding:
		return StateRebuilding
	case Joining:
		return StateJoining
	}
	return StateLeft
}

// process returns who has this boot id, members of the epoch before included: they have to hear that they are gone.
func (t *Topology) process(boot uint64) *Identity {
	if boot == 0 {
		return nil
	}
	for _, list := range [][]Slot{t.Slots, t.Prev.Slots} {
		for i := range list {
			if list[i].BootID == boot {
				id := list[i].Identity()
				return &id
			}
		}
	}
	if t.Joining != nil && t.Joining.BootID == boot {
		id := t.Joining.Identity()
		return &id
	}
	return nil
}
