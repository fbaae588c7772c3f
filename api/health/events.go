package health

import (
	"maps"
	"sync"
	"time"
)

// Event is one change that a node has seen.
type Event struct {
	Sequence uint64 // counts the events of this process, from 1
	At       time.Time
	Name     string // one of EventNames
	Member   string // whom it is about; empty: the cluster
	Text     string // a sentence without a full stop
}

// The names of events.
const (
	eventServing   = "serving" // the verdict's level has become this one
	eventDegraded  = "degraded"
	eventReadsOnly = "reads-only"
	eventRefusing  = "refusing"

	eventEntered  = "entered" // this node is part of a cluster, or of another one
	eventForked   = "forked"  // the cluster goes on without a member that was removed by force
	eventLeader   = "leader"  // a member leads the changes of members
	eventNoLeader = "no-leader"
	eventCleared  = "cleared"

	eventJoining    = "member-joining"
	eventJoined     = "member-joined"
	eventGivenUp    = "member-gave-up" // a join has ended without a new member
	eventLeft       = "member-left"
	eventGone       = "member-gone" // its memory is lost, and its slot is vacant
	eventRebuilding = "member-rebuilding"
	eventRebuilt    = "member-rebuilt"

	eventAnswers      = "member-answers" // again
	eventSilent       = "member-silent"
	eventNoConnection = "member-no-connection"
	eventRestarted    = "member-restarted"
	eventElsewhere    = "member-elsewhere"
)

// EventNames returns the names of all events.
func EventNames() []string {
	return []string{
		eventServing, eventDegraded, eventReadsOnly, eventRefusing, eventEntered, eventForked, eventLeader, eventNoLeader, eventCleared,
		eventJoining, eventJoined, eventGivenUp, eventLeft, eventGone, eventRebuilding, eventRebuilt,
		eventAnswers, eventSilent, eventNoConnection, eventRestarted, eventElsewhere,
	}
}

// Kept is how many events a node keeps.
const Kept = 200

// Log keeps the last events of a node and counts all of them. Its zero value is an empty log.
type Log struct {
	mu     sync.Mutex
	next   uint64
	kept   []Event // a ring: the event with sequence s is at (s-1) % Kept
	counts map[string]uint64
}

// Add adds an event. It sets the event's sequence and returns the event.
func (l *Log) Add(e Event) Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.next++
	e.Sequence = l.next
	if len(l.kept) < Kept {
		l.kept = append(l.kept, e)
	} else {
		l.kept[(e.Sequence-1)%Kept] = e
	}
	if l.counts == nil {
		l.counts = map[string]uint64{}
	}
	l.counts[e.Name]++
	return e
}

// Last returns the last n events, or fewer where fewer are kept, the newest last.
func (l *Log) Last(n int) []Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	n = min(n, len(l.kept))
	out := make([]Event, n)
	for i := range out {
		out[i] = l.kept[(l.next-uint64(n)+uint64(i))%Kept]
	}
	return out
}

// Counts returns how many events of each name there were. Names without an event may be absent.
func (l *Log) Counts() map[string]uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.counts)
}
