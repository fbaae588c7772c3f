package topology

import (
	"slices"

	"go.etcd.io/raft/v3/raftpb"
)

// leaving returns the processes whose votes must end before the log says that they are out: those
// that an entering process replaces, and the one that leaves. Where the number of members is odd,
// the vote of the leaver ends after its leave (see odd). A leader that leaves gives up the lead
// before its leave in either case.
func (s *scene) leaving() map[uint64]bool {
	out := map[uint64]bool{}
	for _, a := range s.asks {
		if a.Purpose == toEnter {
			if slot := s.topology.slot(a.Node.Name); slot != nil && slot.BootID == a.replaces {
				out[slot.BootID] = true
			}
		}
	}
	if slot, _ := s.leaver(); slot != nil && len(out) == 0 && (!s.odd() || slot.BootID == s.self) {
		out[slot.BootID] = true
	}
	return out
}

// reconcile makes the voters follow the topology, one change at a time (E7). Every slot's process
// has a vote, and no other process but an early joiner. A new process first learns, and votes once
// it has caught up. The leader never removes itself: a group of two could then not learn that the
// removal is agreed.
func (s *scene) reconcile(leaving map[uint64]bool) move {
	t := s.topology
	wanted := map[uint64]bool{}
	for i := range t.Slots {
		if b := t.Slots[i].BootID; !leaving[b] {
			wanted[b] = true
		}
	}
	// The vote of a joiner that may not vote any longer becomes that of a learner.
	if s.overdue() {
		if j := t.Joining.BootID; j != s.self {
			return move{change: confChange{raftpb.ConfChangeAddLearnerNode, j}}
		}
		return move{transfer: s.transferee(wanted)}
	}
	// Processes that are out lose their votes. A leader among them transfers the lead first.
	for _, list := range [][]uint64{s.voters, s.learners} {
		for _, b := range list {
			if wanted[b] || t.Joining != nil && t.Joining.BootID == b {
				continue
			}
			if b == s.self {
				return move{transfer: s.transferee(wanted)}
			}
			return move{change: confChange{raftpb.ConfChangeRemoveNode, b}}
		}
	}
	add := func(b uint64) bool {
		return !slices.Contains(s.voters, b) && !slices.Contains(s.learners, b) && s.reachable(b)
	}
	// The processes of slots learn, then vote.
	for i := range t.Slots {
		b := t.Slots[i].BootID
		switch {
		case !wanted[b] || s.voter(b):
		case add(b):
			return move{change: confChange{raftpb.ConfChangeAddLearnerNode, b}}
		case s.caughtUp[b] && s.reachable(b):
			return move{change: confChange{raftpb.ConfChangeAddNode, b}}
		}
	}
	// A joiner learns, and votes early where early says so.
	if j := t.Joining; j != nil {
		switch {
		case add(j.BootID):
			return move{change: confChange{raftpb.ConfChangeAddLearnerNode, j.BootID}}
		case s.early() && !s.voter(j.BootID) && s.caughtUp[j.BootID] && s.reachable(j.BootID):
			return move{change: confChange{raftpb.ConfChangeAddNode, j.BootID}}
		}
	}
	return move{}
}

// odd reports whether the number of members is odd. The voters must bear as many crashes as the
// members do (M11): five bear two, four bear one, three bear one. So while the size changes, there
// are as many voters as the odd one of the two sizes has members. Between four and five there are
// five: a fifth member votes before it grows, and one of five that leaves votes until it has left.
// Between three and four there are three: a fourth voter beside three members would only be one
// more that can be missing.
func (s *scene) odd() bool { return s.topology.N()%2 == 1 }

// early reports whether a joiner votes before it grows. It does when the number of members is even,
// all of them vote, and none is about to leave. If one of four left while the joiner votes, three
// members would have four voters. The joiner and one member may die at once, and the remaining two
// of four voters are no majority.
func (s *scene) early() bool {
	leaves := slices.ContainsFunc(s.asks, func(a *ask) bool { return a.Purpose == toLeave && s.topology.slot(a.Name) != nil })
	return !s.odd() && !leaves && s.allVote()
}

// overdue reports whether a joiner has a vote that must end now. It must end before a member that
// answers leaves. A leaver that is dead or forced out loses its own vote first: the joiner's may be
// needed for the majority that agrees to that.
func (s *scene) overdue() bool {
	if j := s.topology.Joining; j == nil || !s.voter(j.BootID) {
		return false
	}
	slot, a := s.leaver()
	return s.odd() || !s.allVote() || slot != nil && !a.Force && a.answered.has(slot.BootID)
}

// allVote reports whether every slot's process votes.
func (s *scene) allVote() bool {
	return !slices.ContainsFunc(s.topology.Slots, func(o Slot) bool { return !s.voter(o.BootID) })
}

// notVoting returns the name of a member that serves and does not vote yet. It ignores the leaver,
// and returns "" when there is none. The next change of size waits for that vote. If one of four
// left before the fourth votes, three members would have two voters, and one crash would stop them
// for good (M11).
func (s *scene) notVoting(leaver string) string {
	for i := range s.topology.Slots {
		if o := &s.topology.Slots[i]; o.active() && o.Name != leaver && !s.voter(o.BootID) {
			return o.Name
		}
	}
	return ""
}

// transferee returns the boot ID of a voter that can lead at once, or zero when there is none yet.
func (s *scene) transferee(wanted map[uint64]bool) uint64 {
	for _, b := range s.voters {
		if b != s.self && wanted[b] && s.caughtUp[b] && s.reachable(b) {
			return b
		}
	}
	return 0
}
