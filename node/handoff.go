package node

import (
	"context"
	"errors"
	"fmt"

	"go.uber.org/zap"

	"viakv/api/kv"
	"viakv/handoff"
	"viakv/node/topology"
	"viakv/quorum"
	"viakv/quorum/replica"
	"viakv/quorum/version"
	"viakv/quorum/version/rule"
)

// This file gives package handoff what it needs of a membership: the view, and where to report to.

// newDriver makes the hand-off driver of a membership. The driver takes hints at once, and works
// from the first epoch on.
func (m *membership) newDriver() (*handoff.Driver, error) {
	random := m.node.random()
	return handoff.New(handoff.Config{
		Views: handoffViews{m}, Peers: m.node.client, Topology: handoffTopology{m.manager, m},
		// A list's ID, too, must be unlikely to repeat, and not zero.
		NewID: func() uint64 { return topology.NewBootID(random) }, Logger: m.log,
	})
}

// handoffViews gives the driver the view of the present epoch, even once the membership refuses
// everything. The driver runs only once there is a view.
type handoffViews struct{ m *membership }

func (v handoffViews) Current() *replica.View { return &v.m.state.Load().View }

// barrierNeed returns how many copies the barrier of a size change merges.
func barrierNeed(c *topology.SizeChange) int {
	if rule.Broken(rule.Barrier) {
		return 0
	}
	return c.Need
}

// handoffTopology passes what the driver reports to the topology manager.
type handoffTopology struct {
	*topology.Manager
	m *membership
}

func (t handoffTopology) Rebuilt(ctx context.Context, at handoff.Basis) error {
	t.m.tellIfFull(ctx)
	err := t.Manager.Rebuilt(ctx, &topology.Topology{Epoch: at.Epoch, Generation: at.Generation, Purge: at.Purge})
	if errors.Is(err, topology.ErrStartOver) {
		return handoff.ErrStartOver
	}
	return err
}

// purge removes the tombstones of the list on which the topology has agreed between old and s, if
// there is one (N4).
func (m *membership) purge(s *state, old *state) {
	id := uint64(0)
	if old != nil && s.topology.Purge != old.topology.Purge {
		id = s.topology.PurgeList
	}
	list, err := m.driver.Agreed(id)
	if err != nil {
		if s.role == topology.Active {
			m.log.Warn("the cluster has purged tombstones that this node was not asked about and keeps; a later purge removes them", zap.Error(err))
		}
		return
	}
	if list == nil {
		return
	}
	m.purged.note(s.topology.Purge, s.topology.Seed, list)
	removed, err := s.Store.Purge(s.topology.Epoch, list.Tombstones)
	m.driver.Purged(removed)
	if err != nil {
		m.log.Debug("a purge ended early: the store no longer accepts its epoch", zap.Error(err))
	}
}

// hints passes the keys that members missed in the coordinator's phases to the present membership.
type hints struct{ node *Node }

var _ quorum.Hints = hints{}

// Miss implements quorum.Hints.
func (h hints) Miss(member string, i version.Incarnation, key []byte) {
	h.node.present.Load().driver.Miss(member, i, key)
}

// progress says in words how far the rebuild has come, or what it waits for. The error is
// kv.ErrTooFewCopies when the rebuild waits for members that have a full copy.
func (m *membership) progress() (string, error) { return describeSync(m.driver.Progress()) }

func describeSync(p *kv.Sync) (string, error) {
	switch {
	case p == nil:
		return "about to copy the others' keys", nil
	case p.Sources < p.Need:
		return fmt.Sprintf("%d full copies are needed to rebuild and %d members are active: writes may be lost with the others",
			p.Need, p.Sources), kv.ErrTooFewCopies
	}
	return fmt.Sprintf("%s: %.0f %% done, %d keys, about %.0f s left", p.Kind, 100*p.Done, p.Keys, p.Left.Seconds()), nil
}
