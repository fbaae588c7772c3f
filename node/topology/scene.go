package topology

import (
	"slices"
	"time"

	"go.etcd.io/raft/v3/raftpb"
)

// scene is everything that the leader's next step depends on. It holds values only, so that decide
// is pure.
type scene struct {
	topology         *Topology // applied; it holds everything that earlier leaders agreed on
	self             uint64
	now              time.Time
	voters, learners []uint64
	caughtUp         map[uint64]bool // processes that have acknowledged all that is committed
	reports          reports
	heard            map[uint64]time.Time // when a process last answered
	barriers         []fact               // slots that have run the barrier of the size change under way
	// absent holds processes that are proved gone, or were silent for longer than patience.
	absent map[uint64]bool
	asks   []*ask // in the order of their arrival
	// pause is when to look again if nothing happens before.
	pause time.Duration
}

// ask is one request that waits for its turn.
type ask struct {
	request
	deadline time.Time
	replaces uint64 // toEnter: boot ID of the process that the new one replaces, found to be gone
	proposed bool
	done     chan response // has room for one response

	// answered holds the processes that answered the last poll, for a change of size. Nil: not
	// polled yet.
	answered polled
	polledAt time.Time // when the poll ended
}

// fresh reports whether the poll for a is recent enough to decide by.
func (s *scene) fresh(a *ask) bool { return a.answered != nil && s.now.Sub(a.polledAt) < pollTime }

// move is the step that decide chooses. One field is set, beside ask. None is set: wait.
type move struct {
	answer   *response  // the answer to ask
	command  *command   // to propose: for ask, or of the leader's own accord when ask is nil
	change   confChange // of the voters
	transfer uint64     // boot ID of the voter that takes the lead
	poll     bool       // ask the members whether they are there
	ask      *ask
}

type confChange struct {
	kind   raftpb.ConfChangeType
	bootID uint64 // zero: no change
}

func (s *scene) voter(boot uint64) bool { return slices.Contains(s.voters, boot) }

func (s *scene) sealed() bool { return s.topology.sealed(s.reports) }

// reachable reports whether the process has answered lately.
func (s *scene) reachable(boot uint64) bool {
	at, ok := s.heard[boot]
	return boot == s.self || ok && s.now.Sub(at) <= patience/3
}
