package topology

import (
	"context"
	"sync"

	"go.uber.org/zap"
)

// Run lives one life: it founds or enters a cluster, takes part, and returns when the context ends
// (nil), when the node has left (nil), or when it cannot be a member (the reason). Call it once.
//
// Everything it starts has ended when it returns. The order matters: the consensus group stops
// first, so that nobody hears a vote of a process whose Host is no longer told what was agreed;
// then the adopter, then the Host. Only after that is the life over for others: they take it that
// an over life completes nothing (M5).
func (m *Manager) Run(ctx context.Context) error {
	adopting, stop := context.WithCancel(context.Background())
	var adopter sync.WaitGroup
	adopter.Go(func() { m.adopt(adopting) })

	err := m.begin(ctx)
	if err == nil {
		err = m.live(ctx)
	}
	stop()
	adopter.Wait()
	m.cfg.Host.Close()
	m.mu.Lock()
	m.over = true
	m.mu.Unlock()
	m.changed.notify()
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		m.log.Error("the membership has ended", zap.Error(err))
	}
	return err
}

// begin returns once this process has a topology.
func (m *Manager) begin(ctx context.Context) error {
	defer m.hangUp(m.memberAt)
	switch {
	case m.cfg.JoinVia != "":
		return m.join(ctx)
	case len(m.cfg.Seeds) == 0:
		return m.issue([]Identity{m.self})
	}
	return m.findSeeds(ctx)
}

// live takes part until the node is no longer in the topology.
func (m *Manager) live(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var asking sync.WaitGroup
	asking.Go(func() { m.askAround(ctx) })
	defer func() {
		cancel()
		asking.Wait()
		m.replaceGroup(nil)
	}()
	was := Stranger
	for {
		changed := m.changed.wait()
		m.mu.Lock()
		t, forked, g := m.known, m.forked, m.group
		m.mu.Unlock()
		role, _ := t.Role(m.self.BootID)
		if role == Stranger {
			m.replaceGroup(nil)
			if m.awaitAdopted(ctx, t.Epoch) != nil { // M7: who leaves refuses, too
				return nil
			}
			return m.verdict(t, was)
		}
		if g == nil || g.cluster != t.Cluster {
			m.log.Info("part of a cluster", zap.Stringer("cluster", t.Cluster), zap.Uint64("epoch", uint64(t.Epoch)), zap.Stringer("role", role))
			if err := m.startGroup(t, forked); err != nil {
				return err
			}
		}
		was = role
		m.mu.Lock()
		m.reason, m.cause = "", nil
		m.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}

// askAround asks one member after another for the topology as long as no leader is heard from. A
// process that was replaced or removed while it was paused or cut off would learn that from nobody
// otherwise: the leader has forgotten it, and it would go on as a member until one of its own
// requests is refused.
func (m *Manager) askAround(ctx context.Context) {
	for next := 0; sleep(ctx, m.cfg.Every); next++ {
		m.mu.Lock()
		t, g := m.known, m.group
		m.mu.Unlock()
		if g == nil || g.snapshot().leader != 0 {
			continue
		}
		all := t.recipients()
		if id := all[next%len(all)]; id.BootID != m.self.BootID {
			if p, err := m.discover(ctx, id.Peer); err == nil {
				m.learn(p.Topology)
			}
		}
	}
}

// verdict says why the node is in t no more.
func (m *Manager) verdict(t *Topology, was Role) error {
	s := t.Slot(m.self.Name)
	switch {
	case s != nil && s.BootID != m.self.BootID:
		return ErrReplaced
	case was == Joining || was == Stranger:
		return ErrAbandoned
	}
	m.log.Info("the node has left the cluster", zap.Stringer("cluster", t.Cluster), zap.Uint64("epoch", uint64(t.Epoch)))
	return nil
}

// startGroup makes this process a voter, or a learner that waits for the leader, of t's consensus group.
func (m *Manager) startGroup(t *Topology, forked bool) error {
	g, err := newGroup(m, t, forked)
	if err != nil {
		return err
	}
	m.replaceGroup(g)
	g.start()
	return nil
}

// replaceGroup installs g, or none, and waits for the end of the one before.
func (m *Manager) replaceGroup(g *group) {
	m.mu.Lock()
	old := m.group
	m.group = g
	m.mu.Unlock()
	if old != nil {
		old.stop()
	}
}
