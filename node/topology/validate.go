package topology

import (
	"errors"
	"fmt"

	"viakv/api/kv"
	"viakv/ring"
)

// MaxSlots bounds a cluster, a joining node included: a node that joins is asked like a member. So
// a cluster with MaxSlots members admits no other.
const MaxSlots = kv.MaxMembers

// Limits of a node's name and of its addresses. They bound the size of the document.
const (
	maxName    = 128
	maxAddress = 512
)

const _ = uint(ring.MaxMembers - MaxSlots) // compiles only while the ring has room for every slot

// validate checks what must hold in every epoch, and reports all faults at once.
func (t *Topology) validate() error {
	var errs []error
	fault := func(format string, args ...any) { errs = append(errs, fmt.Errorf("topology: "+format, args...)) }
	if t.Cluster == 0 || t.Epoch == 0 {
		fault("no cluster or no epoch")
	}
	if t.N() < 1 || t.N() > MaxSlots {
		fault("%d slots, want 1 to %d", t.N(), MaxSlots)
	}
	// Each process must have a boot ID and an incarnation of its own.
	boots, incarnations := map[uint64]string{}, map[uint64]string{}
	process := func(id Identity, incarnation uint64) {
		if err := id.validate(); err != nil {
			errs = append(errs, err)
		}
		if other, taken := boots[id.BootID]; taken {
			fault("%s and %s have one boot ID", id.Name, other)
		}
		if other, taken := incarnations[incarnation]; taken || incarnation == 0 {
			fault("incarnation %d of %s is also that of %q", incarnation, id.Name, other)
		}
		boots[id.BootID], incarnations[incarnation] = id.Name, id.Name
	}
	// Slots are in order, and each has one process: active or rebuilding.
	for i := range t.Slots {
		s := &t.Slots[i]
		if i > 0 && t.Slots[i-1].Name >= s.Name {
			fault("slots %q and %q are out of order", t.Slots[i-1].Name, s.Name)
		}
		if (s.Incarnation == 0) == (s.Pending == 0) {
			fault("slot %s is active and rebuilding, or neither", s.Name)
		}
		process(s.Identity, uint64(s.Incarnation|s.Pending))
	}
	// The joiner has no slot yet.
	if j := t.Joining; j != nil {
		if t.slot(j.Name) != nil {
			fault("%s joins and has a slot", j.Name)
		}
		process(j.Identity, uint64(j.Pending))
	}
	if _, ok := kv.ParseReads(string(t.Reads)); !ok {
		fault("reads by %q, want %s or %s", t.Reads, kv.ReadsLease, kv.ReadsQuorum)
	}
	if t.Lease < kv.MinLease || t.Lease > kv.MaxLease {
		fault("a lease of %v, want %v to %v", t.Lease, kv.MinLease, kv.MaxLease)
	}
	if t.Cleared > t.Epoch || (t.Cleared == 0) != (t.Generation == 0) {
		fault("%d clears, the last at epoch %d, and the epoch is %d", t.Generation, t.Cleared, t.Epoch)
	}
	if t.N() > 0 {
		if err := t.validateQuorums(t.N()); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// validateQuorums checks D7, and the limit of members, for a cluster of n.
func (t *Topology) validateQuorums(n int) error {
	r, w := quorum(t.ReadQuorum, n), quorum(t.WriteQuorum, n)
	if n > MaxSlots {
		return kv.Detail(kv.ErrFull, "it has at most %d members", MaxSlots)
	}
	if r+w <= n && !t.AllowWeak {
		return kv.Detail(kv.ErrWeakQuorums, "with %d members R=%d and W=%d do not overlap: reads could miss acknowledged writes", n, r, w)
	}
	return nil
}

// validate checks an identity that came from a peer or a configuration.
func (id Identity) validate() error {
	switch {
	case id.Name == "" || len(id.Name) > maxName:
		return fmt.Errorf("topology: the node's name has %d bytes, want 1 to %d", len(id.Name), maxName)
	case id.Peer == "" || len(id.Peer) > maxAddress || len(id.HTTP) > maxAddress:
		return fmt.Errorf("topology: %s: the peer address must be given and addresses have at most %d bytes", id.Name, maxAddress)
	case id.BootID == 0:
		return fmt.Errorf("topology: %s has no boot ID", id.Name)
	}
	return nil
}
