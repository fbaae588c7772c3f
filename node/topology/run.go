package topology

import (
	"context"
	"sync"

	"viakv/api/sleep"

	"go.uber.org/zap"
)

// Run runs one membership from its beginning to its end: it founds or enters a cluster and takes
// part. It returns nil when the context ends or the node has left, and otherwise the reason why the
// node cannot be a member. Call it once.
//
// Everything that Run starts has ended when it returns. The order matters. The consensus group
// stops first, so that no vote is heard of a process whose Host is no longer told what was agreed.
// Then the adopter ends, then the Host. Only after that do other processes learn that the
// membership is over: they rely on it that nothing completes in an ended membership (M5).
func (m *Manager) Run(ctx context.Context) error {
	adopting, stop := context.WithCancel(context.Background())
	var adopter sync.WaitGroup
	adopter.Go(func() { m.adopt(adopting) })

	err := m.begin(ctx)
	if err == nil {
		err = m.takePart(ctx)
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

// takePart takes part until the node is no longer in the topology.
func (m *Manager) takePart(ctx context.Context) error {
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
			// The node is out. The Host first refuses what is stamped with older epochs: a leaver
			// must, too (M7).
			m.replaceGroup(nil)
			if m.awaitAdopted(ctx, t.Epoch) != nil {
				return nil
			}
			return m.verdict(t, was)
		}
		// A new cluster, by founding, entering or forking, has a consensus group of its own.
		if g == nil || g.cluster != t.Cluster {
			m.log.Info("the node is part of a cluster", zap.Stringer("cluster", t.Cluster), zap.Uint64("epoch", uint64(t.Epoch)), zap.Stringer("role", role))
			g, err := newGroup(m, t, forked)
			if err != nil {
				return err
			}
			m.replaceGroup(g)
			g.ended.Go(g.run)
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

// askAround asks one member after another for the topology while no leader is heard. A process that
// was paused or cut off may have been replaced or removed meanwhile. The leader has forgotten it
// and tells it nothing. Without asking it would go on as a member until one of its own requests is
// refused.
func (m *Manager) askAround(ctx context.Context) {
	for next := 0; sleep.For(ctx, every); next++ {
		m.mu.Lock()
		t, g := m.known, m.group
		m.mu.Unlock()
		if g == nil || g.snapshot().leader != 0 {
			continue
		}
		all := t.recipients()
		if id := all[next%len(all)]; id.BootID != m.self.BootID {
			if p, err := m.discover(ctx, id.Peer, 0); err == nil {
				m.Learn(p.Topology)
			}
		}
	}
}

// verdict returns the reason why the node is no longer in t, or nil when it has left.
func (m *Manager) verdict(t *Topology, was Role) error {
	s := t.slot(m.self.Name)
	switch {
	case s != nil && s.BootID != m.self.BootID:
		return ErrReplaced
	case was == Joining || was == Stranger:
		return ErrAbandoned
	}
	m.log.Debug("the node has left the cluster", zap.Stringer("cluster", t.Cluster), zap.Uint64("epoch", uint64(t.Epoch)))
	return nil
}

// replaceGroup installs g, which may be nil, and waits for the end of the group before.
func (m *Manager) replaceGroup(g *group) {
	m.mu.Lock()
	old := m.group
	m.group = g
	m.mu.Unlock()
	if old != nil {
		old.stop()
	}
}
