package lease

import (
	"maps"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"viakv/quorum/version"
	"viakv/quorum/version/rule"
)

// Held are the leases that a node holds. They are safe for concurrent use.
type Held struct {
	clock Clock
	term  time.Duration

	standing atomic.Pointer[standing]

	used atomic.Bool // leases were of use since the last Pause

	mu       sync.Mutex
	era      uint64 // what was asked in an earlier one does not count
	place    Place
	sessions map[version.Incarnation]*session
	// returned are the newest sessions that were given up. They never count again.
	returned map[version.Incarnation]uint64
	paused   chan struct{} // closed at the end of the pause; nil: none
	stopped  bool          // for good

	lacks map[version.Incarnation]Lack // why the last request to a grantor brought nothing
	seen  state
}

// session is a lease as its holder knows it.
type session struct {
	number uint64
	until  time.Duration // by the holder's clock
	counts bool          // the holder has caught up (L2)
}

// Place is what a node needs to know of its epoch, to count the leases that it holds.
type Place struct {
	Epoch   version.Epoch
	Members []version.Incarnation // of the other slots: the active process, and zero where none is
	Need    int                   // of how many of them a lease is needed; more than there are: never enough
}

// Wants reports whether leases help at the place: some are needed, and there are as many members.
func (p *Place) Wants() bool {
	n := 0
	for _, i := range p.Members {
		if i != 0 {
			n++
		}
	}
	return 0 < p.Need && p.Need <= n
}

// standing is what the leases of a node amount to at an epoch. It is immutable.
type standing struct {
	epoch    version.Epoch
	until    time.Duration // by the node's clock
	sessions []uint64      // that count, whatever the clock shows, by slot
}

// NewHeld returns the leases that a node holds: none.
func NewHeld(clock Clock, term time.Duration) *Held {
	h := &Held{
		clock: clock, term: term, sessions: map[version.Incarnation]*session{}, returned: map[version.Incarnation]uint64{},
		lacks: map[version.Incarnation]Lack{}, seen: state{since: time.Now()},
	}
	h.standing.Store(&standing{until: never})
	return h
}

// Readings of a clock that are before and after all others.
const (
	never  = time.Duration(math.MinInt64)
	always = time.Duration(math.MaxInt64)
)

// Alone reports whether the node's own copy holds all that was complete before the call, as at the
// epoch. Only what is looked up afterwards may rest on it (L3).
func (h *Held) Alone(at version.Epoch) bool {
	s := h.standing.Load()
	return s.epoch == at && (s.until == always || h.clock() < s.until)
}

// Sessions returns the sessions that count at an epoch, by slot: zero where there is none. It
// returns nil when the node has gone on from the epoch. The caller only reads them.
func (h *Held) Sessions(at version.Epoch) []uint64 {
	if s := h.standing.Load(); s.epoch == at {
		return s.sessions
	}
	return nil
}

// Enter makes the node count its leases at a place. Its store has gone on to the epoch by then.
func (h *Held) Enter(p Place) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.place = p
	gone := func(grantor version.Incarnation) bool { return !slices.Contains(p.Members, grantor) }
	maps.DeleteFunc(h.sessions, func(grantor version.Incarnation, _ *session) bool { return gone(grantor) })
	maps.DeleteFunc(h.returned, func(grantor version.Incarnation, _ uint64) bool { return gone(grantor) })
	maps.DeleteFunc(h.lacks, func(grantor version.Incarnation, _ Lack) bool { return gone(grantor) })
	h.countLocked()
}

// Asked is the moment at which a node asks for a lease.
type Asked struct {
	at  time.Duration
	era uint64
}

// Ask notes the moment, before the request is sent.
func (h *Held) Ask() Asked {
	h.mu.Lock()
	defer h.mu.Unlock()
	return Asked{h.clock(), h.era}
}

// Given takes in the number of the session that a grantor has answered with. It reports whether the
// session counts already. A new one does only once CaughtUp was called.
func (h *Held) Given(grantor version.Incarnation, number uint64, asked Asked) (counts bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.lacks, grantor)
	s := h.sessions[grantor]
	switch {
	case number <= h.returned[grantor]:
		return true
	case h.stopped || asked.era != h.era: // what was asked for is not wanted any more
		if s == nil || s.number < number { // else the same session was asked for since, and counts
			h.returned[grantor] = number
		}
		return true
	case s == nil || s.number < number:
		s = &session{number: number, until: never, counts: rule.Broken(rule.CatchUp)}
		h.sessions[grantor] = s
	case s.number > number:
		return true // an old answer
	}
	if rule.Broken(rule.Asking) {
		asked.at = h.clock()
	}
	s.until = max(s.until, asked.at+h.term/10*8)
	h.countLocked()
	return s.counts
}

// Counts returns the session of a grantor that counts, as long as the clock allows it. Zero: none.
func (h *Held) Counts(grantor version.Incarnation) uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s := h.sessions[grantor]; s != nil && s.counts {
		return s.number
	}
	return 0
}

// CaughtUp says that the node has merged all that a grantor held at some moment after a session
// began.
func (h *Held) CaughtUp(grantor version.Incarnation, number uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s := h.sessions[grantor]; s != nil && s.number == number {
		s.counts = true
		h.countLocked()
	}
}

// Drop gives all leases up. What was asked before does not count any more.
func (h *Held) Drop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.dropLocked()
}

func (h *Held) dropLocked() {
	h.era++
	for grantor, s := range h.sessions {
		h.returned[grantor] = s.number
	}
	clear(h.sessions)
	clear(h.lacks)
	h.countLocked()
}

// Stop gives all leases up, for good. A pause begins that does not end.
func (h *Held) Stop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stopped = true
	if h.paused == nil {
		h.paused = make(chan struct{})
	}
	h.dropLocked()
}

// Returned returns the newest session of a grantor that the node has given up; zero: none. The
// grantor may end it. After Stop it is forever.
func (h *Held) Returned(grantor version.Incarnation) uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.stopped {
		return forever
	}
	return h.returned[grantor]
}

// forever is above the number of each session: a holder that gives all up to it back asks for no
// other one.
const forever = math.MaxUint64

// Use notes that leases are of use now.
func (h *Held) Use() {
	if h.used.Load() {
		return
	}
	h.used.Store(true)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.paused != nil && !h.stopped {
		close(h.paused)
		h.paused = nil
		h.lookLocked()
	}
}

// Pause begins a pause if leases were of no use since the last call. It reports whether a pause is
// on, until Use.
func (h *Held) Pause() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.used.Swap(false) && h.paused == nil {
		h.paused = make(chan struct{})
		h.lookLocked()
	}
	return h.paused != nil
}

// Paused returns a channel that is closed at the end of the pause that is on, and nil when none is.
func (h *Held) Paused() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.paused
}

// countLocked counts the leases at the node's place.
func (h *Held) countLocked() {
	h.lookLocked() // the leases may have ended before
	defer h.lookLocked()
	p := &h.place
	next := &standing{epoch: p.Epoch, until: always, sessions: make([]uint64, len(p.Members))}
	var until []time.Duration
	for m, i := range p.Members {
		if s := h.sessions[i]; i != 0 && s != nil && s.counts {
			next.sessions[m] = s.number
			until = append(until, s.until)
		}
	}
	for _, s := range h.sessions {
		if rule.Broken(rule.Processes) && s.counts {
			until = append(until, s.until)
		}
	}
	slices.Sort(until)
	switch n := len(until) - p.Need; {
	case n < 0:
		next.until = never
	case p.Need > 0:
		next.until = until[n]
	}
	h.standing.Store(next)
}
