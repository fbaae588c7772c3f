package replica

import (
	"iter"

	"viakv/quorum/version"
	"viakv/ring"
	"viakv/ring/keyspace"
)

// View is one epoch of the topology as requests and repair see it, with this node's copy: an
// immutable snapshot.
type View struct {
	Epoch      version.Epoch
	Generation version.Generation
	Purge      uint64        // purge sequence
	Resized    version.Epoch // of the last change of size
	R, W       int
	Seed       keyspace.Seed
	Ring       *ring.Snapshot
	Cluster    uint64   // names the cluster
	CursorKey  [16]byte // the members' secret: seals cursors, and what people see of digests

	Members []Member // the slots, ascending by name as in Ring, then the node that is joining
	Slots   int      // N: how many of Members are slots
	Self    int      // this node's index in Members; -1: it is none of them
	Settled bool     // no change of size and no join is under way
	Need    int      // of a node that is not active: how many full copies it must merge (M3)
	Barrier *Barrier // what this node owes; nil: nothing

	Store Store  // this node's own copy
	Clock *Clock // this node's counter

	// Purged returns the highest tag of the key's tombstones that the purges after the given one
	// have removed, up to this view's; zero: they have removed none. False: this node does not know
	// what all of them have removed. Nil: it never does.
	Purged func(after uint64, key []byte) (version.Tag, bool)

	// Origin is for whoever made the view: whoever speaks to peers finds in it what belongs to the
	// epoch.
	Origin any

	// Superseded is closed when a later view takes this one's place.
	Superseded <-chan struct{}
}

// Member is a slot, or the node that is joining.
type Member struct {
	Name        string
	Address     string              // where its peers reach it
	Incarnation version.Incarnation // who may answer for the slot; zero: vacant
	Pending     version.Incarnation // who is rebuilding it: is sent new writes and counts for nothing (M4)
	Since       version.Epoch       // when the slot last lost its memory, or the node was admitted
}

// Barrier is the sync that a member owes after a change of size (M6).
type Barrier struct {
	Change version.Epoch // names the change
	From   []string      // members to merge from
	Need   int           // how many of them, this node included where it is one of From
}

// Active reports whether somebody may answer for the slot.
func (m *Member) Active() bool { return m.Incarnation != 0 }

// Holder returns the process that has the slot, active or not; zero: none has.
func (m *Member) Holder() version.Incarnation { return max(m.Incarnation, m.Pending) }

// Me returns this node's own entry in Members; an empty one when it has none.
func (v *View) Me() *Member {
	if v.Self < 0 {
		return new(Member)
	}
	return &v.Members[v.Self]
}

// Incarnation returns this node's identity as a replica, zero when it must not serve.
func (v *View) Incarnation() version.Incarnation {
	if v.Self < 0 {
		return 0
	}
	return v.Members[v.Self].Incarnation
}

// Others yields the other members that a process holds, and who is joining.
func (v *View) Others() iter.Seq[*Member] {
	return func(yield func(*Member) bool) {
		for i := range v.Members {
			if m := &v.Members[i]; i != v.Self && m.Holder() != 0 && !yield(m) {
				return
			}
		}
	}
}

// Knows reports whether an incarnation is an active or rebuilding one of this view.
func (v *View) Knows(i version.Incarnation) bool {
	for m := range v.Members {
		if i != 0 && (v.Members[m].Incarnation == i || v.Members[m].Pending == i) {
			return true
		}
	}
	return false
}

// Over reports whether a later view has taken this one's place.
func (v *View) Over() bool {
	select {
	case <-v.Superseded:
		return true
	default:
		return false
	}
}

// Views gives the present view, nil before this node belongs to a cluster. Current does not block.
type Views interface{ Current() *View }
