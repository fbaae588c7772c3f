package topology

import (
	"slices"
	"time"

	"go.etcd.io/raft/v3/raftpb"
)

// scene is everything that the leader's next step depends on: values only, so that decide is pure.
type scene struct {
	topology         *Topology // applied, with everything that earlier leaders agreed on
	self             uint64
	now              time.Time
	voters, learners []uint64
	caughtUp         map[uint64]bool // who has acknowledged all that is committed
	reports          Reports
	heard            map[uint64]time.Time // when a process last answered
	barriers         []Fact               // who has run the barrier of the size change under way
	absent           map[uint64]bool      // processes that are proved gone, or were silent for longer than patience
	asks             []*ask               // in the order of their arrival
	every            time.Duration        // between two looks at a member
	patience         time.Duration        // with a silent one
}

// ask is one request that waits for its turn.
type ask struct {
	request
	deadline time.Time
	replaces uint64 // toEnter: the process that was looked for and is gone
	proposed bool
	done     chan response // has room for one

	there    polled    // of a change of size: the members that answered for it; nil: not asked yet
	polledAt time.Time // when
}

// fresh reports whether the members were asked just now.
func (s *scene) fresh(a *ask) bool { return a.there != nil && s.now.Sub(a.polledAt) < pollTime }

// move is what decide wants done next. One field is set; none: wait.
type move struct {
	answer   *response  // to ask
	command  *Command   // for ask, or of the leader's own accord
	change   confChange // of the voters
	transfer uint64     // the lead, to this voter
	poll     bool       // ask the members whether they are there
	ask      *ask
}

type confChange struct {
	kind   raftpb.ConfChangeType
	bootID uint64 // zero: none
}

func (s *scene) voter(boot uint64) bool { return slices.Contains(s.voters, boot) }

func (s *scene) sealed() bool { return s.topology.Sealed(s.reports) }

// reachable reports whether the process answered lately.
func (s *scene) reachable(boot uint64) bool {
	at, ok := s.heard[boot]
	return boot == s.self || ok && s.now.Sub(at) <= max(5*s.every, s.patience/3)
}
