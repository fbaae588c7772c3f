package topology

import (
	"slices"

	"viakv/api/health"
	"viakv/api/kv"
)

const (
	// forkJump is the distance from the epoch and log index that the survivor knew to those of its
	// fork. The lost majority may have agreed on more, and no epoch or incarnation may be given out
	// twice.
	forkJump = 1 << 20
	// maxForks bounds the lineage that a document carries.
	maxForks = 8
)

// fork is the operator's way out of a lost majority: a new cluster that continues t without one of
// its slots. Its only voter is the survivor. It takes the other slots over as they come into reach,
// with their memories intact.
//
// A fork cannot be agreed on, since the majority is lost. So the operator vouches that no other
// member forks, and that the lost members do not go on. All that follow the new cluster refuse what
// is stamped with the old cluster's ID.
func fork(t *Topology, id ClusterID, survivor, remove string, op OperationID) (*Topology, error) {
	i := t.index(remove)
	switch s := t.slot(survivor); {
	case i < 0:
		return nil, kv.Detail(kv.ErrNoSuchNode, "%s has no slot", remove)
	case remove == survivor:
		return nil, kv.Detail(kv.ErrQuorumLoss, "%s cannot remove itself by force; ask a member that stays", remove)
	case s == nil || !s.active():
		return nil, kv.Detail(kv.ErrQuorumLoss, "%s holds no full copy; ask a member that is active", survivor)
	}
	n := t.successor(op)
	n.Epoch = t.Epoch + forkJump
	n.LogIndex = t.LogIndex + forkJump
	n.Applied = []Done{{op, n.Epoch}}
	n.remove(t, i)
	n.Change.Need = min(n.Change.Need, len(n.Change.From))
	n.Prev.Need = 0 // no process is left to ask: the operator's word stands for the seal
	n.Joining = nil
	n.Cluster = id
	n.Forks = append(slices.Clone(t.Forks[max(0, len(t.Forks)+1-maxForks):]), t.Cluster)
	if err := n.validate(); err != nil {
		return nil, err
	}
	return n, nil
}

// continues reports whether t succeeds that cluster through forced removals.
func (t *Topology) continues(c ClusterID) bool { return slices.Contains(t.Forks, c) }

// loss returns what may be lost when a slot of t is removed by force and only the processes that
// found shows are there. Nil: nothing. A process that was restarted is another one than the slot's,
// and has no copy.
func (t *Topology) loss(remove string, found polled) *health.Loss {
	f := health.Facts{N: t.N(), R: t.R(), W: t.W()}
	for i := range t.Slots {
		s := &t.Slots[i]
		f.Members = append(f.Members, health.Member{Name: s.Name, State: s.State(), Reach: found[s.BootID]})
	}
	verdict := health.Judge(&f)
	return verdict.Loss(remove)
}
