package handoff

import (
	"viakv/quorum/version"
	"viakv/ring"
	"viakv/ring/keyspace"
)

// View is what handoff needs to know of one epoch of the topology: an immutable snapshot.
type View struct {
	Epoch      version.Epoch
	Generation version.Generation
	Purge      uint64
	Resized    version.Epoch // of the last size change
	Seed       keyspace.Seed
	Ring       *ring.Snapshot // of all slots

	Self   Member
	Others []Member // ascending by name: the other slots that somebody holds, and who is joining

	Slots   int      // N
	Settled bool     // no size change and no join is under way
	Need    int      // of a node that is not active: how many members it must merge (M3)
	Barrier *Barrier // what this node owes, nil: nothing

	// Superseded is closed when a later view takes this one's place.
	Superseded <-chan struct{}
}

// Member is a process at a slot, or one that is joining.
type Member struct {
	Name        string
	Incarnation version.Incarnation // zero: nobody
	Active      bool                // false: rebuilding or joining
	Since       version.Epoch       // when its slot last lost its memory, or when it was admitted
}

// Barrier is the sync that a member owes after a size change (M6).
type Barrier struct {
	Change version.Epoch // names the change
	From   []string      // members to merge from
	Need   int           // how many of them, this node included where it is one of From
}

// Basis is what a rebuild is worth: the copies hold as long as the topology agrees with it (H3).
type Basis struct {
	Epoch      version.Epoch
	Generation version.Generation
	Purge      uint64
}

// Basis returns the basis of what is copied at this view.
func (v *View) Basis() Basis { return Basis{v.Epoch, v.Generation, v.Purge} }

// has reports whether another member has this incarnation.
func (v *View) has(i version.Incarnation) bool {
	for _, m := range v.Others {
		if m.Incarnation == i && i != 0 {
			return true
		}
	}
	return false
}

// named returns the other member of that name.
func (v *View) named(name string) (Member, bool) {
	for _, m := range v.Others {
		if m.Name == name {
			return m, true
		}
	}
	return Member{}, false
}

// place returns how many others come before this node, by name, among those that look after a
// member.
func (v *View) place(of Member) (n int) {
	for _, m := range v.Others {
		if m.Active && m.Name < v.Self.Name && m.Name != of.Name {
			n++
		}
	}
	return n
}

// preference lists the active other members in the order in which a partition prefers them.
func (v *View) preference(p keyspace.Partition) []Member {
	names := v.Ring.Members()
	out := make([]Member, 0, len(v.Others))
	for _, i := range v.Ring.Preference(p) {
		if m, ok := v.named(names[i]); ok && m.Active {
			out = append(out, m)
		}
	}
	return out
}

// complete reports whether all N slots are active and settled: the only state in which tombstones
// may go (G1).
func (v *View) complete() bool {
	active := 0
	if v.Self.Active {
		active++
	}
	for _, m := range v.Others {
		if m.Active {
			active++
		}
	}
	return v.Settled && active == v.Slots
}
