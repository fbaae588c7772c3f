package handoff

import (
	"cmp"
	"slices"

	"viakv/quorum/version"
	"viakv/ring/keyspace"
)

// diff compares what two stores hold in one range, both ascending by rank: ranks to fetch because the other holds something newer there, and
// items (by index) to give because it does not.
func diff(own []Item, other []Tagged, want []keyspace.Rank, give []int) ([]keyspace.Rank, []int) {
	i, j := 0, 0
	for i < len(own) || j < len(other) {
		switch {
		case j == len(other) || i < len(own) && own[i].Rank < other[j].Rank:
			give = append(give, i)
			i++
		case i == len(own) || other[j].Rank < own[i].Rank:
			want = appendRank(want, other[j].Rank)
			j++
		default:
			rank := own[i].Rank
			ni, nj := i+1, j+1
			for ni < len(own) && own[ni].Rank == rank {
				ni++
			}
			for nj < len(other) && other[nj].Rank == rank {
				nj++
			}
			if ni == i+1 && nj == j+1 {
				a, b := &own[i].Record, &other[j]
				if version.Changes(a.Tag, a.Owner, b.Tag, b.Owner) {
					want = append(want, rank)
				}
				if version.Changes(b.Tag, b.Owner, a.Tag, a.Owner) {
					give = append(give, i)
				}
			} else if !sameVersions(own[i:ni], other[j:nj]) {
				// Several keys share the rank (one pair in 2^64 does, or a test): their tags cannot tell which is which.
				want = append(want, rank)
				for k := i; k < ni; k++ {
					give = append(give, k)
				}
			}
			i, j = ni, nj
		}
	}
	return want, give
}

// appendRank appends a rank unless it is the last one already.
func appendRank(ranks []keyspace.Rank, r keyspace.Rank) []keyspace.Rank {
	if n := len(ranks); n > 0 && ranks[n-1] == r {
		return ranks
	}
	return append(ranks, r)
}

// sameVersions compares the versions at one rank, whatever their order. Two keys never share a tag, since a coordinator's counter
// serves one write.
func sameVersions(own []Item, other []Tagged) bool {
	if len(own) != len(other) {
		return false
	}
	a := make([]Tagged, len(own))
	for i := range own {
		a[i] = Tagged{own[i].Rank, own[i].Record.Tag, own[i].Record.Owner}
	}
	b := slices.Clone(other)
	byTag := func(x, y Tagged) int {
		return cmp.Or(x.Tag.Compare(y.Tag), cmp.Compare(x.Owner.Incarnation, y.Owner.Incarnation), cmp.Compare(x.Owner.Sequence, y.Owner.Sequence))
	}
	slices.SortFunc(a, byTag)
	slices.SortFunc(b, byTag)
	return slices.Equal(a, b)
}
