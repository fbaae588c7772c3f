package keyspace

import "fmt"

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
