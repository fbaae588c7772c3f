package keyspace

import (
	"bytes"
	"cmp"
)

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
