package quorum

import (
	"fmt"
	"math/bits"

	"viakv/api/kv"
)

// memberSet is a set of members, by their index in a view.
type memberSet uint32

const everyone = ^memberSet(0)

// MaxMembers bounds a cluster, so that a set of members fits a word and a request's record of them its operation.
const MaxMembers = kv.MaxMembers

func (s memberSet) has(m int) bool { return s>>m&1 != 0 }
func (s *memberSet) add(m int)     { *s |= 1 << m }
func (s memberSet) len() int       { return bits.OnesCount32(uint32(s)) }

// verdict is what a tally says of its phase.
type verdict uint8

const (
	pending    verdict = iota
	met                // enough replicas said yes
	impossible         // too few are left that could
)

func (v verdict) String() string { return [...]string{"pending", "met", "impossible"}[v] }

// tally counts the replies of one phase. It is a value: decisions about it are functions of nothing else.
type tally struct {
	need   int       // yes answers that complete the phase
	voters memberSet // who may answer: the active slots at the phase's epoch
	yes    memberSet
	no     memberSet // nacks: the replica answered, and refused
	failed memberSet // no answer will come
}

// verdict: the phase is met when need replicas said yes, and impossible when too few remain that still could.
func (t tally) verdict() verdict {
	if t.yes.len() >= t.need {
		return met
	}
	if t.voters.len()-t.no.len()-t.failed.len() < t.need {
		return impossible
	}
	return pending
}

// record notes an answer. Those who have no vote (rebuilding and joining members, M4) and second answers count nothing.
func (t *tally) record(m int, set *memberSet) {
	if t.voters.has(m) && !(t.yes | t.no | t.failed).has(m) {
		set.add(m)
	}
}

func (t tally) String() string {
	return fmt.Sprintf("%d of %d needed, %d active: %d yes, %d no, %d failed",
		t.need, t.need, t.voters.len(), t.yes.len(), t.no.len(), t.failed.len())
}
