package topology

import (
	"context"
	"errors"

	"go.uber.org/zap"

	"viakv/api/kv"
)

// Leave takes a member out: this node when the name is empty. It returns when nothing that counts
// on the member can complete any more. A dead member can be taken out while the others have a
// majority and the remaining members keep a quorum.
//
// With force it goes on where that majority or quorum is lost. A leader, if there is one, no longer
// counts the remaining members. Without a leader this node forks the cluster (see fork). The report
// says what that may lose.
func (m *Manager) Leave(ctx context.Context, name string, force bool) (kv.Left, error) {
	if name == "" {
		name = m.self.Name
	}
	t := m.newest()
	if t == nil {
		return kv.Left{}, kv.Detail(kv.ErrNoSuchNode, "this node is not a member of a cluster yet")
	}
	if t.slot(name) == nil {
		return kv.Left{}, kv.Detail(kv.ErrNoSuchNode, "%s has no slot", name)
	}
	if t.N() == 1 {
		return kv.Left{}, errLast
	}
	report := kv.Left{Node: name, Forced: force}
	leave := &request{ID: m.nextOperation(), Purpose: toLeave, Name: name, Force: force}
	var r response
	var err error
	if force {
		report.Loss = t.loss(name, m.poll(ctx, t))
		var open bool
		r, open, err = m.proposeForced(ctx, leave)
		if errors.Is(err, errLeaderless) {
			return m.fork(ctx, t, name, report, open)
		}
	} else {
		if err := t.shrinkPossible(name, m.poll(ctx, t).orRebuilding); err != nil {
			return kv.Left{}, err // known at once, also without a leader to say so
		}
		r, err = m.propose(ctx, leave)
	}
	if now := m.newest(); err != nil && name == m.self.Name && now.slot(name) == nil {
		r.Epoch, err = now.Epoch, nil // this node has left, and the answer did not reach it any more
	}
	if err != nil {
		return kv.Left{}, err
	}
	report.Epoch = r.Epoch
	if err := m.awaitAdopted(ctx, r.Epoch); err != nil && !errors.Is(err, context.Canceled) {
		return report, &kv.Unavailable{Outcome: kv.Unknown, Reason: "the leave is agreed and not adopted here yet", Err: err}
	}
	return report, nil
}

// errLast refuses the leave of the last member.
var errLast = kv.Detail(kv.ErrLastMember, "it is the last member: its keys would be lost")

// errLeaderless means that no process has led for the time of some elections.
var errLeaderless = errors.New("topology: no leader")

// proposeForced proposes a forced leave until it is decided, no process leads any more
// (errLeaderless), or ctx or this membership ends. A majority that has died may leave behind a
// leader that does not know it yet. The result open says that the leave was proposed, and may be
// agreed yet.
func (m *Manager) proposeForced(ctx context.Context, leave *request) (r response, open bool, err error) {
	for {
		if m.leaderless(ctx) {
			return response{}, open, errLeaderless
		}
		proposing, cancel := context.WithTimeout(ctx, 3*electionTicks*tick)
		r, err = m.propose(proposing, leave)
		cancel()
		u, ok := errors.AsType[*kv.Unavailable](err)
		if !ok {
			return r, open, err
		}
		open = open || u.Outcome == kv.Unknown
		if ctx.Err() != nil || errors.Is(err, ErrOver) {
			return r, open, &kv.Unavailable{Outcome: outcome(open), Reason: u.Reason, Err: u.Err}
		}
	}
}

// leaderless reports whether no leader is known for the time of some elections.
func (m *Manager) leaderless(ctx context.Context) bool {
	elections, cancel := context.WithTimeout(ctx, 3*electionTicks*tick)
	defer cancel()
	return m.changed.until(elections, func() bool { return m.leader() != "" }) != nil && ctx.Err() == nil
}

// fork makes this node the only voter of a new cluster that continues the old one. With open, the
// old cluster may agree on the leave yet.
func (m *Manager) fork(ctx context.Context, t *Topology, name string, report kv.Left, open bool) (kv.Left, error) {
	op := m.nextOperation()
	m.mu.Lock()
	id := ClusterID(NewBootID(m.random))
	m.mu.Unlock()
	n, err := fork(t, id, m.self.Name, name, op)
	if err != nil {
		return kv.Left{}, err
	}
	encoded := n.encode()
	m.mu.Lock()
	moved := m.known != t || m.over
	if !moved {
		m.known, m.encoded, m.forked = n, encoded, true
	}
	m.mu.Unlock()
	if moved {
		return kv.Left{}, &kv.Unavailable{Outcome: outcome(open), Reason: kv.ErrMovedOn.Error(), Err: kv.ErrMovedOn}
	}
	fields := []zap.Field{zap.Stringer("from", t.Cluster), zap.Stringer("to", n.Cluster), zap.String("removed", name)}
	if report.Loss != nil {
		fields = append(fields, zap.Stringer("mayLose", report.Loss))
	}
	m.log.Warn("the node has forked the cluster by force", fields...)
	m.changed.notify()
	report.Epoch = n.Epoch
	if err := m.awaitAdopted(ctx, n.Epoch); err != nil {
		return report, &kv.Unavailable{Outcome: kv.Unknown, Reason: "the fork is made and not adopted here yet", Err: err}
	}
	return report, nil
}
