package topology

import (
	"viakv/quorum/version"
	"viakv/quorum/version/rule"
)

// Reports is what is known of the processes in the predecessor's list. Adopted holds the epochs
// that they have adopted, by boot ID. Gone holds the boot IDs that a newer process of the same name
// has proved dead.
type Reports struct {
	Adopted map[uint64]version.Epoch
	Gone    map[uint64]bool
}

// Sealed reports whether nothing stamped with an older epoch can complete any more (M5). Each slot
// of the predecessor's list counts that has adopted this epoch, was not active in the last one, or
// has been rebooted since. When enough slots count, any quorum of the last epoch contains at least
// one that refuses.
func (t *Topology) Sealed(r Reports) bool {
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

func (t *Topology) sealedBy(p *Slot, r Reports) bool {
	if !p.Active() || r.Gone[p.BootID] || r.Adopted[p.BootID] >= t.Epoch {
		return true
	}
	now := t.Slot(p.Name)
	return now != nil && now.BootID != p.BootID
}

// predecessor returns what t's successor keeps of t.
func (t *Topology) predecessor() Predecessor {
	return Predecessor{Epoch: t.Epoch, Need: t.N() - min(t.R(), t.W()) + 1, Slots: t.Slots}
}
