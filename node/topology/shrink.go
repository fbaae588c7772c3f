package topology

import (
	"slices"

	"viakv/api/kv"
)

// shrink takes a slot out. The leaver may have held the only reachable copy of a write, so the
// members that stay merge their copies. Each write that the last epoch acknowledged is on W of its
// N slots, so on at least one of any N-W+1, the leaver's own copy aside (M6).
//
// A size change that is not settled does not stand in the way when only the leaver's own barrier is
// missing: every other slot then holds whatever the epoch before acknowledged. Without that
// exception a node that joined and died for good could never be removed.
func (n *Topology) shrink(t *Topology, c *command) error {
	i := t.index(c.Name)
	switch {
	case i < 0:
		return kv.Detail(kv.ErrNoSuchNode, "%s has no slot", c.Name)
	case t.N() == 1:
		return errLast
	case !c.Force && !t.barriersDone(c.Barriers, c.Name):
		return errUnsettled
	}
	n.remove(t, i)
	if c.Force {
		n.Change.Need = min(n.Change.Need, len(n.Change.From))
		n.Prev.Need = min(n.Prev.Need, c.Reached) // the operator vouches for the slots that do not answer
		return nil
	}
	return n.keepsQuorum((*Slot).active)
}

// remove takes slot i of t out of n, and notes which slots owe the sync barrier.
func (n *Topology) remove(t *Topology, i int) {
	n.Slots = slices.Delete(n.Slots, i, i+1)
	var active []string
	for k := range n.Slots {
		if n.Slots[k].active() {
			active = append(active, n.Slots[k].Name)
		}
	}
	n.Resized = n.Epoch
	n.Change = &SizeChange{
		Epoch: n.Epoch, Left: t.Slots[i].Name,
		Owe: active, From: active, Need: t.N() - t.W() + 1,
	}
}
