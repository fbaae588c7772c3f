package version

import (
	"cmp"
	"fmt"
)

// Epoch numbers the agreed states of the topology; it only grows.
type Epoch uint64

// Generation counts the clears of the store. Everything tagged with an older one is gone for ever.
type Generation uint64

// Incarnation is one boot of a process at a slot: the index of the log entry that admitted it, and so unique in
// its cluster by construction. Zero is nobody.
type Incarnation uint64

// Tag names one version of a key.
//
// Its zero value is the tag of "nothing was ever written" and sorts before every tag that a write can carry,
// because counters start at one.
type Tag struct {
	Generation  Generation
	Counter     uint64 // node-wide Lamport counter of the coordinator that minted the tag
	Incarnation Incarnation
	Removed     bool // a tombstone of the version with the same three fields
}

// Compare orders tags: negative when t is older than o.
func (t Tag) Compare(o Tag) int {
	if c := cmp.Compare(t.Generation, o.Generation); c != 0 {
		return c
	}
	if c := cmp.Compare(t.Counter, o.Counter); c != 0 {
		return c
	}
	if c := cmp.Compare(t.Incarnation, o.Incarnation); c != 0 {
		return c
	}
	switch {
	case t.Removed == o.Removed:
		return 0
	case o.Removed:
		return -1
	}
	return 1
}

// Less reports whether t is older than o.
func (t Tag) Less(o Tag) bool { return t.Compare(o) < 0 }

// IsZero reports whether the tag says that nothing was ever written.
func (t Tag) IsZero() bool { return t == Tag{} }

// Live reports whether a record with this tag holds a value.
func (t Tag) Live() bool { return t.Counter != 0 && !t.Removed }

// Tombstone returns the tag under which the version t is removed.
func (t Tag) Tombstone() Tag { t.Removed = true; return t }

// String renders generation.counter@incarnation, with a cross behind a tombstone's.
func (t Tag) String() string {
	if t.IsZero() {
		return "absent"
	}
	s := fmt.Sprintf("%d.%d@%d", t.Generation, t.Counter, t.Incarnation)
	if t.Removed {
		s += "✗"
	}
	return s
}

// Operation identifies one request of one coordinator: the incarnation makes it unique in the cluster, the sequence within
// the incarnation. It is the owner of a voted tombstone.
type Operation struct {
	Incarnation Incarnation
	Sequence    uint64
}

// Contested is the owner of a tombstone for which copies with different owners met. It equals no request's identity,
// so no request can count this replica's vote from then on (protocol, remove).
var Contested = Operation{}

func (o Operation) String() string {
	if o == Contested {
		return "contested"
	}
	return fmt.Sprintf("%d#%d", o.Incarnation, o.Sequence)
}
