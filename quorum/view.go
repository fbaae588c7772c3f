package quorum

import (
	"viakv/quorum/replica"
	"viakv/quorum/version"
	"viakv/quorum/version/rule"
)

// votersOf returns who may answer at a view: the active slots.
func votersOf(v *replica.View) (s memberSet) {
	for m := range v.Members[:v.Slots] {
		if v.Members[m].Active() || rule.Broken(rule.PendingNoVote) && v.Members[m].Pending != 0 {
			s.add(m)
		}
	}
	return s
}

// Hints takes note of members that missed a key. Miss must not block.
type Hints interface {
	Miss(member string, incarnation version.Incarnation, key []byte)
}
