package topology

import (
	"viakv/quorum/version"
	"viakv/quorum/version/rule"
)

// reports is what is known of the processes in the predecessor's list.
type reports struct {
	adopted map[uint64]version.Epoch // the epochs that they have adopted, by boot ID
	gone    map[uint64]bool          // boot IDs that a newer process of the same name has proved dead
}

// sealed reports whether nothing stamped with an older epoch can complete any more (M5). Each slot
// of the predecessor's list counts that has adopted this epoch, was not active in the last one, or
// has been rebooted since. When enough slots count, any quorum of the last epoch contains at least
// one that refuses.
func (t *Topology) sealed(r reports) bool {
	if rule.Broken(rule.Sealing) {
		return true
	}
	n := 0
	for i := range t.Prev.Slots {
		if t.sealedBy(&t.Prev.Slots[i], r) {
			n++
		}
	}
	return n >= t.Prev.Need
}

func (t *Topology) sealedBy(p *Slot, r reports) bool {
	if !p.active() || r.gone[p.BootID] || r.adopted[p.BootID] >= t.Epoch {
		return true
	}
	now := t.slot(p.Name)
	return now != nil && now.BootID != p.BootID
}

// predecessor returns what t's successor keeps of t.
func (t *Topology) predecessor() Predecessor {
	return Predecessor{Epoch: t.Epoch, Need: t.N() - min(t.R(), t.W()) + 1, Slots: t.Slots}
}
