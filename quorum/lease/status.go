package lease

import (
	"time"

	"viakv/quorum/version"
)

// Lack is why a lease of a member does not count at its holder.
type Lack uint8

// What a lease may lack.
const (
	Nothing    Lack = iota // it counts
	NoProcess              // the member's slot has no active process
	NotAsked               // the member was not asked yet
	NoAnswer               // the member does not answer
	OtherEpoch             // the member is at another epoch
	NotGiven               // the member answers, and gives none
	CatchingUp             // the holder has not merged yet what the member holds (L2)
	RanOut                 // it was not renewed in time
)

func (l Lack) String() string {
	return [...]string{"", "no process", "not asked", "no answer", "another epoch", "not given", "catching up", "ran out"}[l]
}

// Status is what the leases of a node amount to at present.
type Status struct {
	Alone bool // the node's own copy answers for all (L3)
	// Idle says that the node holds no leases, because none were of use lately.
	Idle  bool
	Since time.Time // since when Alone and Idle are so

	Counting, Need int    // how many leases count, and how many have to
	Lacks          []Lack // by slot; NoProcess for the node itself
}

// state is since when the leases of a node amount to the same.
type state struct {
	alone, idle bool
	since       time.Time
}

// Lacks notes why a request for a lease has brought none. The next one that brings a lease ends
// that.
func (h *Held) Lacks(grantor version.Incarnation, why Lack) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lacks[grantor] = why
}

// Status returns what the leases amount to. It does not say whether the node takes requests.
func (h *Held) Status() Status {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lookLocked()
	p, now := &h.place, h.clock()
	out := Status{Alone: h.seen.alone, Idle: h.seen.idle, Since: h.seen.since, Need: p.Need, Lacks: make([]Lack, len(p.Members))}
	for m, i := range p.Members {
		if out.Lacks[m] = h.lackLocked(i, now); out.Lacks[m] == Nothing {
			out.Counting++
		}
	}
	return out
}

func (h *Held) lackLocked(grantor version.Incarnation, now time.Duration) Lack {
	s, why := h.sessions[grantor], h.lacks[grantor]
	switch {
	case grantor == 0:
		return NoProcess
	case s != nil && s.counts && now < s.until:
		return Nothing
	case why != Nothing:
		return why
	case s == nil:
		return NotAsked
	case !s.counts:
		return CatchingUp
	}
	return RanOut
}

// lookLocked notes since when the present state is so. Leases that have run out since the last look
// have done so at their end.
func (h *Held) lookLocked() {
	s, now := h.standing.Load(), h.clock()
	next := state{alone: s.until == always || now < s.until, since: time.Now()}
	next.idle = !next.alone && h.paused != nil
	if next.alone == h.seen.alone && next.idle == h.seen.idle {
		return
	}
	if h.seen.alone && !next.alone && s.until != never {
		next.since = next.since.Add(s.until - now)
	}
	h.seen = next
}
