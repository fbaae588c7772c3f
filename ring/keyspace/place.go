package keyspace

import (
	"bytes"
	"cmp"
)

// Place is a position in the order of rank and key: after the key at the rank, or, without a key,
// before everything at the rank.
type Place struct {
	Rank Rank
	Key  []byte
}

// Passed reports whether the place lies behind a key, so that a walk that goes on there leaves it
// out.
func (p Place) Passed(rank Rank, key []byte) bool {
	if c := cmp.Compare(rank, p.Rank); c != 0 {
		return c < 0
	}
	return len(p.Key) > 0 && bytes.Compare(key, p.Key) <= 0
}

// Within reports whether the place cuts a range: something in it has been passed.
func (p Place) Within(r Range) bool {
	return r.Contains(p.Rank) && (p.Rank > r.From || len(p.Key) > 0)
}

// IsZero reports whether the place is the beginning of all keys. It is also their end: there a walk
// over all of them goes on.
func (p Place) IsZero() bool { return p.Rank == 0 && len(p.Key) == 0 }

// Ends reports whether the place is the end of a range: nothing of it is left.
func (p Place) Ends(r Range) bool { return p.Rank == r.To && len(p.Key) == 0 }

// Beyond reports whether the place lies further on in a range than another one, so that a walk that
// goes on there comes to an end.
func (p Place) Beyond(o Place, r Range) bool {
	return p.Ends(r) || r.Contains(p.Rank) && cmp.Or(cmp.Compare(p.Rank, o.Rank), bytes.Compare(p.Key, o.Key)) > 0
}
