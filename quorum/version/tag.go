package version

import (
	"cmp"
	"fmt"
)

// Epoch is the number of an agreed state of the topology. It only grows.
type Epoch uint64

// Generation counts the clears of the store. A record tagged with an older generation is gone for
// ever.
type Generation uint64

// Incarnation is the number of one boot of a process at a slot. It is the index of the log entry
// that admitted the process, and so unique in its cluster. Zero is no process.
type Incarnation uint64

// Tag names one version of a key.
//
// Its zero value is the tag of "nothing was ever written". It sorts before every tag that a write
// can carry, because counters start at one.
type Tag struct {
	Generation  Generation
	Counter     uint64 // of the coordinator that minted the tag: its node-wide Lamport counter
	Incarnation Incarnation
	Removed     bool // marks the tombstone of the version with the same three other fields
}

// Compare orders tags: it is negative when t is older than o, zero when both are equal.
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

// Tombstone returns the tag under which the version t is removed.
func (t Tag) Tombstone() Tag { t.Removed = true; return t }

// String renders generation.counter@incarnation, with a cross at the end for a tombstone.
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

// Operation identifies one request of one coordinator. The incarnation names the coordinator within
// the cluster, and the sequence names the request within the incarnation. An Operation is the owner
// of a tombstone that replicas have voted for. Its sequence is then a number of the coordinator's
// counter.
type Operation struct {
	Incarnation Incarnation
	Sequence    uint64
}

// Contested is the owner of a tombstone of which copies with different owners have met. It equals
// the identity of no request. So no request can count the vote of this replica from then on
// (docs/adr/0008-contested-tombstones.md).
var Contested = Operation{}

func (o Operation) String() string {
	if o == Contested {
		return "contested"
	}
	return fmt.Sprintf("%d#%d", o.Incarnation, o.Sequence)
}
