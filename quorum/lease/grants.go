package lease

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"viakv/quorum/version"
	"viakv/quorum/version/rule"
)

// Name names a session of a grantor.
type Name struct {
	Holder  version.Incarnation
	Session uint64
}

// Grants are the leases that a node has given. They are safe for concurrent use.
type Grants struct {
	clock Clock
	term  time.Duration

	// names are the sessions that are not known to be over, by holder.
	names atomic.Pointer[[]Name]

	mu      sync.Mutex
	stopped bool
	floor   version.Epoch // below which no lease is given
	newest  uint64        // the number of the newest session
	leases  map[version.Incarnation]*grant
}

// grant is what a grantor keeps of a holder.
type grant struct {
	session uint64        // zero: it is over
	end     time.Duration // of the promise, by the grantor's clock
	asked   version.Epoch // the latest epoch at which the holder has asked
	lapsed  bool          // the holder has let the last session run out, which was not closed

	closed bool          // it is not renewed any more
	began  time.Duration // the session
	rests  time.Duration // no session begins before
	pause  time.Duration // the length of the last rest
}

// MaxNames bounds how many sessions a node names at a time. It gives no more leases than that.
const MaxNames = 64

// NewGrants returns the leases of a node, each of which lasts for a term.
func NewGrants(clock Clock, term time.Duration) *Grants {
	g := &Grants{clock: clock, term: term, leases: map[version.Incarnation]*grant{}}
	g.names.Store(new([]Name))
	return g
}

// Names returns the sessions that an acknowledgement must name. The caller only reads them.
func (g *Grants) Names() []Name { return *g.names.Load() }

// Named reports whether everything that this node has acknowledged since the session began has
// named it.
func (g *Grants) Named(n Name) bool { return n.Session != 0 && slices.Contains(g.Names(), n) }

// Give gives a holder that has adopted an epoch a lease, or renews the one that it has. It returns
// the number of the session, and zero when there is none.
func (g *Grants) Give(holder version.Incarnation, at version.Epoch) (session uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.clock()
	g.tidyLocked(now)
	x := g.leases[holder]
	switch {
	case g.stopped || at < g.floor:
		return 0
	case (x == nil || x.session == 0) && len(g.Names()) >= MaxNames:
		return 0
	case x == nil:
		x = new(grant)
		g.leases[holder] = x
	case x.session != 0 && x.closed || x.session == 0 && now < x.rests:
		return 0
	}
	x.asked = max(x.asked, at)
	x.end = now + g.term
	if x.session == 0 {
		g.newest++
		x.session, x.closed, x.lapsed, x.began = g.newest, false, false, now
		g.publishLocked()
	}
	return x.session
}

// Tidy ends the sessions that are over, so that they are not named any more. A grantor that nobody
// asks for leases does not notice otherwise.
func (g *Grants) Tidy() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.tidyLocked(g.clock())
}

// tidyLocked ends the sessions that are over, and forgets holders that have behaved for long.
func (g *Grants) tidyLocked(now time.Duration) {
	for holder, x := range g.leases {
		if !g.standsLocked(x, now) && now >= x.rests+maxRest {
			delete(g.leases, holder)
		}
	}
}

// standsLocked reports whether a session is not over. Once it is over, it stays so, whatever the
// clock shows later.
func (g *Grants) standsLocked(x *grant, now time.Duration) bool {
	if x.session != 0 && now > x.end {
		x.session, x.lapsed = 0, !x.closed
		g.publishLocked()
	}
	return x.session != 0
}

// publishLocked makes the sessions that stand those that are named.
func (g *Grants) publishLocked() {
	var names []Name
	for holder, x := range g.leases {
		if x.session != 0 {
			names = append(names, Name{holder, x.session})
		}
	}
	slices.SortFunc(names, func(a, b Name) int { return cmp.Compare(a.Session, b.Session) })
	g.names.Store(&names)
}

// A holder whose session was closed gets no other one for rests terms, and for twice as long each
// time that its next session is closed, too. The rest does not grow past maxRest.
const (
	rests   = 5
	maxRest = time.Minute
)

// Close makes sure that a session is not renewed, and returns how long it is until it is over.
// Zero: it is over.
func (g *Grants) Close(n Name) (left time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.clock()
	x := g.leases[n.Holder]
	if x == nil || x.session != n.Session || !g.standsLocked(x, now) {
		return 0
	}
	if !x.closed {
		x.closed = true
		if now-x.began > 2*x.pause {
			x.pause = 0 // it has behaved since
		}
		x.pause = min(max(2*x.pause, rests*g.term), maxRest)
		x.rests = x.end + x.pause
	}
	if rule.Broken(rule.ClosedStands) {
		return 0
	}
	return x.end - now + 1
}

// Lapsed reports whether a holder has let its last session run out, though it could have renewed
// it.
func (g *Grants) Lapsed(holder version.Incarnation) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	x := g.leases[holder]
	return x != nil && !g.standsLocked(x, g.clock()) && x.lapsed
}

// Quiet returns how long it is until all promises are over that were made to members who may be
// below an epoch. Zero: they are over. From now on, such members are given none.
func (g *Grants) Quiet(at version.Epoch) (left time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.floor = max(g.floor, at)
	now := g.clock()
	for _, x := range g.leases {
		if x.asked < at && g.standsLocked(x, now) {
			left = max(left, x.end-now+1)
		}
	}
	return left
}

// Returned says that a holder does not count on its sessions up to a number any more. If that is
// forever, an earlier request that arrives late gets it no other one.
func (g *Grants) Returned(holder version.Incarnation, upTo uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	x := g.leases[holder]
	if x == nil && upTo == forever && len(g.leases) < MaxNames {
		x = new(grant)
		g.leases[holder] = x
	}
	if x == nil || x.session > upTo {
		return
	}
	if upTo == forever {
		x.rests = g.clock() + maxRest
	}
	if x.session != 0 {
		x.session = 0
		g.publishLocked()
	}
}

// Stop makes the node give no more leases.
func (g *Grants) Stop() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.stopped = true
}
