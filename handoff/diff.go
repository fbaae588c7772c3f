package handoff

import (
	"viakv/quorum/replica"
	"viakv/quorum/version"
	"viakv/ring/keyspace"
)

// difference is what differs between this store and another.
type difference struct {
	want   []keyspace.Rank // where the other store holds something newer
	give   []int           // indices of this store's entries that are newer
	shared []keyspace.Rank // where a store holds several keys, whose tags do not tell which key is which
}

// compare adds what differs between the two stores within one range. Both lists ascend by rank.
func (d *difference) compare(own []replica.Entry, other []replica.TagAt) {
	for i, j := 0, 0; i < len(own) || j < len(other); {
		var rank keyspace.Rank
		if j == len(other) || i < len(own) && own[i].Rank < other[j].Rank {
			rank = own[i].Rank
		} else {
			rank = other[j].Rank
		}
		first, theirs := i, (*replica.TagAt)(nil)
		for i < len(own) && own[i].Rank == rank {
			i++
		}
		if j < len(other) && other[j].Rank == rank {
			theirs = &other[j]
			j++
		}
		switch {
		case i-first > 1 || theirs != nil && theirs.Shared:
			d.shared = append(d.shared, rank)
		case first == i:
			d.want = append(d.want, rank)
		case theirs == nil:
			d.give = append(d.give, first)
		default:
			ours := &own[first].Record
			if version.Changes(ours.Tag, ours.Owner, theirs.Tag, theirs.Owner) {
				d.want = append(d.want, rank)
			}
			if version.Changes(theirs.Tag, theirs.Owner, ours.Tag, ours.Owner) {
				d.give = append(d.give, first)
			}
		}
	}
}
