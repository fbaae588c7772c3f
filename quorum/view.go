package quorum

import (
	"viakv/quorum/version"
	"viakv/quorum/version/rule"
	"viakv/ring"
	"viakv/ring/keyspace"
)

// View is what the data path needs to know of one epoch of the topology, as an immutable snapshot.
type View struct {
	Epoch      version.Epoch
	Generation version.Generation
	Purge      uint64 // purge sequence
	R, W       int
	Seed       keyspace.Seed

	Members []Member // the slots, in the ring's order of members, then those that are joining
	Slots   int      // N: how many of Members are slots
	Self    int      // this node's index in Members; -1: it is none of them
	Ring    *ring.Snapshot
	Replica Replica // this node's own copy
	Clock   *Clock  // this node's counter

	// Purged returns the highest tag of the key's tombstones that the purges after the given one
	// have removed, up to this view's; zero: they have removed none. False: this node does not know
	// what all of them have removed. Nil: it never does.
	Purged func(after uint64, key []byte) (version.Tag, bool)

	// Origin is for whoever made the view: Peers find in it what belongs to the epoch.
	Origin any

	// Superseded is closed when a later view takes this one's place.
	Superseded <-chan struct{}
}

// Member is a slot, or a candidate for one.
type Member struct {
	Name        string
	Address     string              // where its peers reach it
	Incarnation version.Incarnation // who may answer for the slot; zero: vacant
	Pending     version.Incarnation // who is rebuilding it: is sent new writes and counts for nothing (M4)
}

// Incarnation returns this node's identity as a replica, zero when it must not serve.
func (v *View) Incarnation() version.Incarnation {
	if v.Self < 0 {
		return 0
	}
	return v.Members[v.Self].Incarnation
}

// voters returns who may answer.
func (v *View) voters() (s memberSet) {
	for m := range v.Members[:v.Slots] {
		if v.Members[m].Incarnation != 0 || rule.Broken(rule.PendingNoVote) && v.Members[m].Pending != 0 {
			s.add(m)
		}
	}
	return s
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

// Views gives the present view. Current is nil before this node belongs to a cluster.
type Views interface{ Current() *View }

// Replica is one copy of all keys. Every operation is stamped with an epoch and fails with an
// error, having done nothing, when the replica has moved on to another one (D1). Methods do not
// block on I/O and are safe for concurrent use.
type Replica interface {
	// Get appends what it returns to dst; the record borrows it. An absent key has the zero tag.
	Get(e version.Epoch, h keyspace.Hash, key, dst []byte) (version.Record, []byte, error)
	// Tag is Get without the value.
	Tag(e version.Epoch, h keyspace.Hash, key, dst []byte) (version.Record, []byte, error)
	// Put merges the record into what is there.
	Put(e version.Epoch, h keyspace.Hash, key []byte, r *version.Record) (changed bool, err error)
	// Vote stores the tombstone and votes for its owner, unless something newer or another owner's
	// tombstone is there.
	Vote(e version.Epoch, h keyspace.Hash, key []byte, tombstone *version.Record) (voted bool, err error)
	// Full reports whether the copy may hold no more, so that new values must be refused.
	Full() bool
}

// Hints takes note of members that missed a key. Miss must not block.
type Hints interface {
	Miss(member string, incarnation version.Incarnation, key []byte)
}
