package topology

import (
	"viakv/quorum/version"
	"viakv/quorum/version/rule"
)

// Reports is what is known of the processes of the predecessor's list: the epochs that they have adopted, by boot id, and
// the boot ids that a newer boot at the same name has proved dead.
type Reports struct {
	Adopted map[uint64]version.Epoch
	Gone    map[uint64]bool
}

// Sealed reports whether nothing stamped with an older epoch can complete any more (M5): enough slots of the predecessor's list
// have adopted this epoch, or counted for nothing in the last one, or were rebooted since. A quorum of the last
// epoch then contains at least one that refuses.
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

// predecessor is what t's successor keeps of t.
func (t *Topology) predecessor() Predecessor {
	return Predecessor{Epoch: t.Epoch, Need: t.N() - min(t.R(), t.W()) + 1, Slots: t.Slots}
}
