package topology

import (
	"context"
	"fmt"

	"viakv/api/kv"
	"viakv/quorum/version"
)

// decideHere answers a request if this process leads, and otherwise says which process does. The
// newest topology goes along with every answer of the leader, refusals above all. A process that is
// refused because the cluster has given it up learns that from no other message.
func (m *Manager) decideHere(ctx context.Context, r *request) response {
	if err := r.validate(); err != nil {
		return response{Code: codeRefused, Detail: err.Error()}
	}
	m.mu.Lock()
	g := m.group
	m.mu.Unlock()
	if g == nil {
		return response{Code: codeElsewhere}
	}
	state := g.snapshot()
	if state.leading == nil {
		t := m.newest()
		if r.Purpose == toEnter && t.slot(r.Node.Name) == nil {
			if err := t.growPossible(m.poll(ctx, t).orRebuilding); err != nil {
				return refusal(err) // perhaps no leader is left to say so
			}
		}
		a := response{Code: codeElsewhere}
		if state.leader != m.self.BootID {
			a.Leader = t.process(state.leader)
		}
		return a
	}
	a := m.decideAs(ctx, state.leading, r)
	a.Topology = m.newest()
	return a
}

// decideAs answers a request as the leader.
func (m *Manager) decideAs(ctx context.Context, l *leader, r *request) response {
	var replaces uint64
	switch r.Purpose {
	case toEnter:
		gone, err := m.examine(ctx, r.Node)
		if err != nil {
			return refusal(err)
		}
		replaces = gone
	case toSettle:
		l.noteBarrier(r.ID.BootID, r.Epoch)
		return response{Code: codeOK}
	}
	return l.submit(ctx, r, replaces)
}

func (r *request) validate() error {
	switch {
	case r.Purpose == toEnter && r.Node == nil, (r.Purpose == toActivate || r.Purpose == toGrow) && r.At == nil:
		return fmt.Errorf("topology: incomplete request to %s", r.Purpose)
	case r.Purpose == toEnter:
		return r.Node.validate()
	case r.Purpose == toSetReads:
		if _, ok := kv.ParseReads(string(r.Reads)); !ok {
			return fmt.Errorf("topology: reads cannot be answered by %q", r.Reads)
		}
	}
	return nil
}

func (l *leader) noteBarrier(boot uint64, change version.Epoch) {
	l.mu.Lock()
	l.barriers[boot] = max(l.barriers[boot], change)
	l.mu.Unlock()
	l.wakeUp()
}

// lookFor asks whether the process that has the entering one's name is still at its registered
// address. It returns its boot ID when it is not, and zero when no process has the name. A process
// that answers there under its boot ID is alive: then two nodes have one name, and the second is
// refused.
func (m *Manager) lookFor(ctx context.Context, node *Identity) (uint64, error) {
	t := m.newest()
	var holder Identity
	switch slot := t.slot(node.Name); {
	case slot != nil:
		holder = slot.Identity
	case t.Joining != nil && t.Joining.Name == node.Name:
		holder = t.Joining.Identity
	default:
		return 0, nil
	}
	if holder.BootID == node.BootID {
		return 0, nil
	}
	alive := holder.BootID == m.self.BootID
	if !alive {
		p, err := m.identify(ctx, holder)
		alive = err == nil && p.BootID == holder.BootID && p.State != stateLeft
	}
	if alive {
		return 0, kv.Detail(kv.ErrAlreadyMember, "a live node at %s is named %s; give the one at %s another name", holder.Peer, node.Name, node.Peer)
	}
	return holder.BootID, nil
}

// Clear removes everything in the cluster and returns the new generation. It returns when nothing
// older can be read any more, here included (M8).
func (m *Manager) Clear(ctx context.Context) (version.Generation, error) {
	r, err := m.propose(ctx, &request{Purpose: toClear})
	if err != nil {
		return 0, err
	}
	if err := m.awaitAdopted(ctx, r.Epoch); err != nil {
		return 0, &kv.Unavailable{Outcome: kv.Unknown, Reason: "the clear is agreed and not adopted here yet", Err: err}
	}
	return m.current().Generation, nil
}

// SetReads makes the cluster answer reads in another way, and returns an epoch at which it does.
// When it returns, that epoch is sealed, and this process has adopted it: no read is answered by
// what an older epoch said. It changes nothing where the cluster answers reads in that way already.
func (m *Manager) SetReads(ctx context.Context, reads kv.Reads) (version.Epoch, error) {
	r, err := m.propose(ctx, &request{Purpose: toSetReads, Reads: reads})
	if err != nil {
		return 0, err
	}
	if err := m.awaitAdopted(ctx, r.Epoch); err != nil {
		return 0, &kv.Unavailable{Outcome: kv.Unknown, Reason: "the change is agreed and not adopted here yet", Err: err}
	}
	return r.Epoch, nil
}

// Purge makes the removal of a list of tombstones a step of the topology (G1, G2). All members
// reported the list at the expected epoch. An error means that the list cannot be purged now, or
// that the outcome is unknown: the caller collects again later.
func (m *Manager) Purge(ctx context.Context, list uint64, expected version.Epoch) error {
	return m.carryOut(ctx, &request{Purpose: toPurge, List: list, Epoch: expected})
}

// Rebuilt reports that this process, pending or joining, has copied what RebuildNeed asked for at
// the given topology. It returns nil when the process counts as a member, and otherwise why it does
// not. ErrStartOver means that the copies are outdated.
func (m *Manager) Rebuilt(ctx context.Context, at *Topology) error {
	t := m.newest()
	if t == nil {
		return ErrOver
	}
	r := &request{Name: m.self.Name, At: at.basis()}
	switch role, incarnation := t.Role(m.self.BootID); role {
	case Active:
		return m.awaitAdopted(ctx, t.Epoch)
	case Rebuilding:
		r.Purpose, r.Incarnation = toActivate, incarnation
	case Joining:
		r.Purpose, r.Incarnation = toGrow, incarnation
	default:
		return ErrOver
	}
	return m.carryOut(ctx, r)
}
