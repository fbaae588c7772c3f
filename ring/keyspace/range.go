package keyspace

import (
	"bytes"
	"cmp"
	"fmt"
)

// Range is the half-open interval [From, To) of ranks. To = 0 means the end of the space. So the
// zero Range holds all ranks, and no range is empty by accident: an empty one has From = To ≠ 0.
type Range struct{ From, To Rank }

// All returns the range of all ranks.
func All() Range { return Range{} }

// Whole returns the range of a partition.
func (p Partition) Whole() Range { return Range{From: p.First(), To: (p + 1).First()} }

// Contains reports whether the rank lies in the range.
func (r Range) Contains(x Rank) bool { return x >= r.From && (r.To == 0 || x < r.To) }

// Covers reports whether every rank of o lies in r.
func (r Range) Covers(o Range) bool {
	return o.From >= r.From && (r.To == 0 || o.To != 0 && o.To <= r.To)
}

// Last returns the highest rank of a range that is not empty.
func (r Range) Last() Rank { return r.To - 1 }

// Empty reports whether no rank lies in the range.
func (r Range) Empty() bool { return r.To != 0 && r.From >= r.To }

func (r Range) String() string { return fmt.Sprintf("[%016x,%016x)", uint64(r.From), uint64(r.To)) }

// Place is a position in the order of rank and key, where a walk goes on. It lies after Key at
// Rank, or, without a key, before all keys at Rank.
type Place struct {
	Rank Rank
	Key  []byte
}

// Passed reports whether the place lies behind a key. A walk that goes on at the place leaves that
// key out.
func (p Place) Passed(rank Rank, key []byte) bool {
	if c := cmp.Compare(rank, p.Rank); c != 0 {
		return c < 0
	}
	return len(p.Key) > 0 && bytes.Compare(key, p.Key) <= 0
}

// Within reports whether the place lies inside a range, behind its beginning and before its end.
func (p Place) Within(r Range) bool {
	return r.Contains(p.Rank) && (p.Rank > r.From || len(p.Key) > 0)
}

// IsZero reports whether the place is the beginning of all keys. The same place is also the end of
// all keys, since a Range that reaches the end has To = 0.
func (p Place) IsZero() bool { return p.Rank == 0 && len(p.Key) == 0 }

// Ends reports whether the place is the end of a range, so that no key of the range is left.
func (p Place) Ends(r Range) bool { return p.Rank == r.To && len(p.Key) == 0 }

// Beyond reports whether the place lies further on in the range r than the place o. A walk whose
// every step goes beyond the last one comes to an end.
func (p Place) Beyond(o Place, r Range) bool {
	return p.Ends(r) || r.Contains(p.Rank) && cmp.Or(cmp.Compare(p.Rank, o.Rank), bytes.Compare(p.Key, o.Key)) > 0
}
