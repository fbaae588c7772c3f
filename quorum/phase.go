package quorum

import (
	"fmt"
	"math/bits"

	"viakv/api/kv"
	"viakv/quorum/replica"
	"viakv/quorum/version/rule"
)

// memberSet is a set of members, by their index in a view.
type memberSet uint32

// MaxMembers bounds a cluster. So a set of members fits a word, and an operation keeps its notes on
// members in arrays.
const MaxMembers = kv.MaxMembers

const _ = uint(32 - MaxMembers) // a memberSet has room for all

// only returns the set of one member.
func only(m int) memberSet { return 1 << m }

// nobody is the empty set.
const nobody memberSet = 0

func (s memberSet) has(m int) bool { return s>>m&1 != 0 }
func (s *memberSet) add(m int)     { *s |= only(m) }
func (s memberSet) len() int       { return bits.OnesCount32(uint32(s)) }

// votersOf returns the members that may answer at a view: the active slots.
func votersOf(v *replica.View) (s memberSet) {
	for m := range v.Members[:v.Slots] {
		if v.Members[m].Active() || rule.Broken(rule.PendingNoVote) && v.Members[m].Pending != 0 {
			s.add(m)
		}
	}
	return s
}

// phase is one round of questions to the replicas: what it needs, and what has been answered. It
// knows no clock, no lock and no peer. What it decides depends only on the replies and their order
// (testdata/phase).
type phase struct {
	need   int       // yes answers that complete it
	voters memberSet // members that may answer: the active slots at its epoch
	yes    memberSet
	no     memberSet // the replica has answered and refused
	failed memberSet // no answer will come
	stale  bool      // a member is ahead of the phase's epoch

	// naming says that only such yes answers complete the phase as count (L4).
	naming bool
	// A yes answer of a member counts once all in awaits have answered, and if it is not in stuck.
	awaits [MaxMembers]memberSet
	stuck  memberSet // their answers name somebody who cannot answer in this phase

	// Of a phase whose record was written without asking (L14): how many members must vouch for
	// it, this node among them. Zero: none.
	vouchers int
	self     int
	vouched  memberSet
	doubted  memberSet // they have answered, and do not vouch
}

// newPhase returns a phase before its first call has ended. The holders have the phase's record
// already. Those of them that are voters count (M4).
func newPhase(need int, voters, holders memberSet) phase {
	return phase{need: need, voters: voters, yes: holders & voters}
}

// verdict is the result of a phase.
type verdict uint8

const (
	pending    verdict = iota
	met                // enough replicas said yes
	over               // the epoch ended first
	impossible         // too few members are left that could say yes
)

func (p *phase) verdict() verdict {
	switch {
	case p.enough() && p.vouchedFor():
		return met
	case p.stale:
		return over
	case p.voters.len()-p.no.len()-p.failed.len() < p.need || p.disowned():
		return impossible
	}
	return pending
}

// enough reports whether enough replicas have said yes.
func (p *phase) enough() bool {
	return p.yes.len() >= p.need && (!p.naming || p.counting() >= p.need)
}

// counting returns how many yes answers count.
func (p *phase) counting() (n int) {
	for m, yes := 0, p.yes&^p.stuck; yes != 0; m, yes = m+1, yes>>1 {
		if yes&1 != 0 && p.awaits[m]&^(p.yes|p.no) == 0 {
			n++
		}
	}
	return n
}

// blocked reports whether the phase waits only for members that the others have named.
func (p *phase) blocked() bool { return p.yes.len() >= p.need && !p.enough() }

// vouchedFor reports whether enough members vouch for the phase's record.
func (p *phase) vouchedFor() bool {
	return p.vouchers == 0 || p.vouched.has(p.self) && p.vouched.len() >= p.vouchers
}

// unvouched reports whether the phase's record is complete, and the phase waits for silent members
// only because the others do not vouch for it.
func (p *phase) unvouched() bool { return p.doubted != 0 && p.enough() && !p.vouchedFor() }

// disowned reports whether too few members are left that could vouch.
func (p *phase) disowned() bool {
	return p.vouchers > 0 && (p.doubted.has(p.self) || p.voters.len()-(p.doubted|p.failed).len() < p.vouchers)
}

// vouch notes whether a member vouches for the phase's record.
func (p *phase) vouch(m int, vouches bool) {
	if vouches {
		p.vouched |= only(m) & p.voters
	} else {
		p.doubted |= only(m) & p.voters
	}
}

// outvoted reports whether refusals alone made the phase impossible: enough members answered.
func (p *phase) outvoted() bool {
	return p.verdict() == impossible && p.voters.len()-p.failed.len() >= p.need
}

// reply notes how the call to a member has ended. It reports whether that may change what the
// request does next. It may when the phase is decided, when a member will not answer, and when the
// phase waits only for somebody who will not.
func (p *phase) reply(m int, s Status) bool {
	failed := p.failed
	switch s {
	case OK, Same, Missing:
		p.record(&p.yes, only(m))
	case Nack:
		p.record(&p.no, only(m))
	case Stale:
		p.stale = true
	default:
		p.record(&p.failed, only(m))
	}
	return p.failed != failed || p.verdict() != pending || p.failed|p.stuck != 0 && p.blocked()
}

// record adds members to a set of answers. It ignores second answers, and members without a vote:
// those that are rebuilding or joining (M4).
func (p *phase) record(set *memberSet, s memberSet) {
	*set |= s & p.voters &^ (p.yes | p.no | p.failed)
}

func (p phase) String() string {
	text := fmt.Sprintf("%d replicas needed, %d active: %d yes, %d no, %d failed",
		p.need, p.voters.len(), p.yes.len(), p.no.len(), p.failed.len())
	if p.blocked() {
		text += fmt.Sprintf(", %d count", p.counting())
	}
	if p.vouchers > 0 {
		text += fmt.Sprintf(", %d of %d vouch", p.vouched.len(), p.vouchers)
	}
	return text
}
