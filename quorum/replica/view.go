package replica

import (
	"fmt"
	"iter"
	"time"

	"viakv/api/kv"
	"viakv/quorum/lease"
	"viakv/quorum/version"
	"viakv/quorum/version/rule"
	"viakv/quorum/watermark"
	"viakv/ring"
	"viakv/ring/keyspace"
)

// View is one epoch of the topology as requests and repairs see it, together with this node's copy.
// It is an immutable snapshot.
type View struct {
	Epoch      version.Epoch
	Generation version.Generation
	Cleared    version.Epoch // the epoch of the last clear; zero: there was none
	Purge      uint64        // the purge sequence
	Resized    version.Epoch // the epoch of the last change of size
	R, W       int
	Seed       keyspace.Seed
	Ring       *ring.Snapshot
	Cluster    uint64 // names the cluster
	// CursorKey is the members' secret. It seals cursors, and the digests that are shown to people.
	CursorKey [16]byte

	Members []Member // the slots, ascending by name as in Ring; then the node that is joining
	Slots   int      // N: the first so many of Members are slots
	Self    int      // this node's index in Members; -1: it is no member
	Settled bool     // no change of size and no join is under way
	Need    int      // how many full copies this node must merge, if it is not active (M3)
	Barrier *Barrier // the barrier that this node owes; nil: none

	// Leases says that nodes answer from their own copies where leases allow it (package lease). A
	// lease lasts for Term. The term is the same at all epochs of a cluster.
	Leases bool
	Term   time.Duration

	Store   Store              // this node's own copy
	Counter *watermark.Counter // this node's own
	Marks   *watermark.Marks   // what this node knows of others
	Given   *lease.Grants      // the leases that this node has given
	Held    *lease.Held        // and those that it holds
	Ended   *lease.Ended       // what this node knows of sessions of others that are over
	// Sealed returns the newest epoch that this node knows to be sealed (L10). Nil: it knows of
	// none but those before this one.
	Sealed func() version.Epoch

	// Purged returns the highest tag among the key's tombstones that were removed by the purges
	// after the given one, up to this view's. The tag is zero when they have removed none. It
	// returns false when this node does not know what all of them have removed. Purged is nil when
	// this node never knows.
	Purged func(after uint64, key []byte) (version.Tag, bool)

	// Origin belongs to the code that made the view. The code that sends messages to peers finds in
	// it what belongs to the epoch.
	Origin any

	// Superseded is closed when a later view takes this one's place.
	Superseded <-chan struct{}
}

// Member is a slot, or the node that is joining.
type Member struct {
	Name        string
	Address     string              // where its peers reach it
	Incarnation version.Incarnation // the process that may answer for the slot; zero: the slot is vacant
	// Pending is the process that is rebuilding the slot's copy, or joining. It is sent new writes
	// and counts for nothing (M4).
	Pending version.Incarnation
	Since   version.Epoch // when the slot last lost its memory, or the node was admitted
}

// Barrier is the sync barrier that a member owes after a change of size (M6).
type Barrier struct {
	Change version.Epoch // the epoch of the change, which names it
	From   []string      // the members to merge from
	Need   int           // how many of them to merge; this node counts if it is one of From
	Joined bool          // this node owes it because it has joined itself
}

// Active reports whether a process may answer for the slot.
func (m *Member) Active() bool { return m.Incarnation != 0 }

// Holder returns the incarnation of the slot's process, active or pending. It is zero when there is
// none.
func (m *Member) Holder() version.Incarnation { return max(m.Incarnation, m.Pending) }

// Me returns this node's own entry in Members, or an empty one if it has none.
func (v *View) Me() *Member {
	if v.Self < 0 {
		return new(Member)
	}
	return &v.Members[v.Self]
}

// Incarnation returns this node's identity as a replica. It is zero when the node must not serve.
func (v *View) Incarnation() version.Incarnation { return v.Me().Incarnation }

// Others yields the other members that have a process, including the node that is joining.
func (v *View) Others() iter.Seq[*Member] {
	return func(yield func(*Member) bool) {
		for i := range v.Members {
			if m := &v.Members[i]; i != v.Self && m.Holder() != 0 && !yield(m) {
				return
			}
		}
	}
}

// Incarnations returns the processes that are active or pending at this view.
func (v *View) Incarnations() (all []version.Incarnation) {
	for i := range v.Members {
		for _, of := range []version.Incarnation{v.Members[i].Incarnation, v.Members[i].Pending} {
			if of != 0 {
				all = append(all, of)
			}
		}
	}
	return all
}

// Knows reports whether an incarnation is active or pending at this view.
func (v *View) Knows(i version.Incarnation) bool {
	for m := range v.Members {
		if i != 0 && (v.Members[m].Incarnation == i || v.Members[m].Pending == i) {
			return true
		}
	}
	return false
}

// Confirmed reports whether this node knows that a record is complete: no later read misses it
// (L6). Of no record it reports whether no later read finds one that this node's copy does not
// hold. The answer no means nothing.
func (v *View) Confirmed(r *version.Record) bool {
	number := r.Number()
	switch {
	case r.Tag.IsZero():
		return v.ClearSealed() || rule.Broken(rule.Absence)
	case number == version.Contested:
		return false
	case rule.Broken(rule.Confirmed):
		return true
	case number.Incarnation == v.Me().Holder() && number.Sequence < v.Counter.Mark():
		return true
	}
	return v.Marks.Complete(number)
}

// ClearSealed reports whether this node knows that the epoch of the last clear is sealed: nobody
// answers any more what was before it. Each epoch waits for the seal of the one before.
func (v *View) ClearSealed() bool {
	return v.Cleared < v.Epoch || v.Sealed != nil && v.Sealed() >= v.Epoch
}

// Alone reports whether this node's copy holds all that was complete before the call. Only what is
// looked up afterwards, at this view's epoch, may rest on it (L3).
func (v *View) Alone() bool { return v.Leases && v.Held.Alone(v.Epoch) }

// Place returns what the leases that this node holds need to know of the view. With R-1 leases of
// others, a query phase is answered already (L3). With R=1 one is needed all the same: it ends when
// this node is cut off, and the others go on without it. Where quorums need not overlap, and for a
// node that is not active, no number of leases is enough.
func (v *View) Place() lease.Place {
	p := lease.Place{Epoch: v.Epoch, Members: make([]version.Incarnation, v.Slots), Need: max(v.R-1, min(1, v.Slots-1))}
	for m := range p.Members {
		if m != v.Self {
			p.Members[m] = v.Members[m].Incarnation
		}
	}
	if v.Incarnation() == 0 || v.R+v.W <= v.Slots {
		p.Need = v.Slots + 1
	}
	return p
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

// Slot returns the index of the slot for which an incarnation may answer, and -1 when there is
// none.
func (v *View) Slot(i version.Incarnation) int {
	for m := range v.Members[:v.Slots] {
		if v.Members[m].Incarnation == i {
			return m
		}
	}
	return -1
}

// Views gives the present view, or nil before this node belongs to a cluster. Current does not
// block.
type Views interface{ Current() *View }

// ReadQuorum returns the number of replicas that a request's r means at the view. The default is
// the view's R.
func (v *View) ReadQuorum(asked kv.Quorum) (int, error) { return v.resolve(asked, "r", v.R) }

// WriteQuorum returns the number of replicas that a request's w means at the view. The default is
// the view's W.
func (v *View) WriteQuorum(asked kv.Quorum) (int, error) { return v.resolve(asked, "w", v.W) }

// resolve turns a requested quorum into a number of replicas.
func (v *View) resolve(q kv.Quorum, parameter string, configured int) (int, error) {
	n := v.Slots
	switch {
	case q == kv.QuorumDefault:
		return configured, nil
	case q == kv.QuorumMajority:
		return n/2 + 1, nil
	case q == kv.QuorumAll:
		return n, nil
	case q < 1 || int(q) > n:
		return 0, &kv.ArgumentError{Parameter: parameter, Detail: fmt.Sprintf(
			"%d is not between 1 and the cluster's %d nodes; \"quorum\" and \"all\" fit every size", q, n)}
	}
	return int(q), nil
}

// errNotServing is the answer of a node that is not an active member.
var errNotServing = &kv.Unavailable{Outcome: kv.None, Reason: "this node is not an active member of a cluster yet, or no longer"}

// Serving returns the present view if this node is an active member at it, and a
// *kv.Unavailable otherwise.
func Serving(views Views) (*View, error) {
	v := views.Current()
	if v == nil || v.Incarnation() == 0 {
		return nil, errNotServing
	}
	return v, nil
}
