package topology

import (
	"context"
	"time"

	"viakv/api/sleep"
	"viakv/quorum/version"
	"viakv/quorum/version/rule"
)

// A process is quiet at an epoch when all leases are over that it has given to members who may be
// below the epoch (L10). Such a member answers reads from its own copy while the lease lasts. So an
// epoch is over only once enough processes are quiet at the next one.

// reports is what is known of the processes in the predecessor's list.
type reports struct {
	quiet map[uint64]version.Epoch // the epochs that they have adopted and are quiet at, by boot ID
	// gone holds the boot IDs that a newer process of the same name has proved dead, for so long
	// that the leases of the dead process are over.
	gone map[uint64]bool
}

// sealed reports whether nothing of an older epoch can complete any more, and no lease of an older
// epoch is relied on (M5, L10). When enough slots of the predecessor's list count, any quorum of
// the last epoch contains at least one that refuses, and so does any set of members whose leases
// let somebody answer without asking.
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

// sealedBy reports whether a slot of the predecessor's list counts. It counts when its process
//
//   - has adopted t and is quiet at it,
//   - was not active in the predecessor already: nobody at that epoch relied on its leases, and the
//     epochs before were sealed,
//   - or is proved dead, and its leases are over. Their holders may count on them until then.
//
// A forced removal asks for no more slots than answered (command.Reached), and these count by the
// same rules. For the other slots the operator vouches: they complete nothing, and the leases that
// they gave are over. Leases end one term after the death of the process that gave them. A fork
// asks for no slot at all (Predecessor.Need is zero): there the operator vouches for all.
func (t *Topology) sealedBy(p *Slot, r reports) bool {
	return !p.active() || r.gone[p.BootID] || r.quiet[p.BootID] >= t.Epoch
}

// replaced returns the processes of the predecessor's list whose slots other processes have now.
func (t *Topology) replaced() (boots []uint64) {
	for i := range t.Prev.Slots {
		p := &t.Prev.Slots[i]
		if now := t.slot(p.Name); now != nil && now.BootID != p.BootID {
			boots = append(boots, p.BootID)
		}
	}
	return boots
}

// predecessor returns what t's successor keeps of t.
func (t *Topology) predecessor() Predecessor {
	return Predecessor{Epoch: t.Epoch, Need: t.N() - min(t.R(), t.W()) + 1, Slots: t.Slots}
}

// recheck is how soon a process that is not quiet looks again whether it is. A holder that asks at
// the new epoch makes it quiet before the lease ends, and the process is not told of that.
const recheck = 2 * time.Millisecond

// leasesLeft returns how long it is until this process is quiet at an epoch. Zero: it is quiet.
func (m *Manager) leasesLeft(at version.Epoch) time.Duration {
	if rule.Broken(rule.Quiet) {
		return 0
	}
	return m.cfg.Host.Quiet(at)
}

// leasesOfTheDead returns how long the leases of a dead process may last, by the clock of this one.
// It is a quarter longer than a term: the rates of two clocks differ by less.
func (m *Manager) leasesOfTheDead() time.Duration {
	if rule.Broken(rule.Quiet) {
		return 0
	}
	return m.cfg.Host.Term() * 5 / 4
}

// awaitQuiet waits until this process is quiet at an epoch.
func (m *Manager) awaitQuiet(ctx context.Context, at version.Epoch) error {
	for {
		left := m.leasesLeft(at)
		if left <= 0 {
			return nil
		}
		if !sleep.For(ctx, min(left, recheck)) {
			return ctx.Err()
		}
	}
}

// quietAt returns the epoch that this process has adopted if it is quiet at it, and zero otherwise.
func (m *Manager) quietAt() version.Epoch {
	if t := m.current(); t != nil && m.leasesLeft(t.Epoch) <= 0 {
		return t.Epoch
	}
	return 0
}

// Sealed returns the newest epoch that this node knows to be sealed. It does not block. All epochs
// before the adopted one are sealed (E4), or the operator vouches for them (fork). Of the newest
// one, the leader finds it out and tells the others.
func (m *Manager) Sealed() version.Epoch {
	known := version.Epoch(m.sealed.Load())
	if t := m.current(); t != nil {
		known = max(known, t.Epoch-1)
	}
	return known
}

// LearnSealed takes in that an epoch of this node's cluster is sealed. It does not block. Of an
// epoch that this node has not heard of it learns nothing: what it is told of its newest one comes
// again.
func (m *Manager) LearnSealed(e version.Epoch) {
	if t := m.newest(); t == nil || e > t.Epoch {
		return
	}
	for {
		known := m.sealed.Load()
		if uint64(e) <= known {
			return
		}
		if m.sealed.CompareAndSwap(known, uint64(e)) {
			m.changed.notify()
			return
		}
	}
}
