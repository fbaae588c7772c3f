package quorum

import (
	"math"
	"time"

	"viakv/quorum/lease"
	"viakv/quorum/version/rule"
)

// An acknowledgement names the sessions of leases that its replica has given. It counts once each
// holder that it names has acknowledged, too, or the session is known to be over (L4). So what is
// complete is in the copy of each node that answers alone.
//
// A holder that is silent is waited for. After a while those that have named it are asked to end
// its sessions, which takes a term at most (L5).

// heedLocked notes for a phase whom an answer of a member waits for.
func (o *operation) heedLocked(p *phase, m int) {
	p.awaits[m] = nobody
	p.stuck &^= only(m)
	for _, n := range o.names[m] {
		if rule.Broken(rule.Names) {
			continue
		}
		if h := o.v.Slot(n.Holder); h >= 0 {
			p.awaits[m].add(h)
		} else {
			p.stuck.add(m)
		}
	}
}

// refreshLocked forgets the names of sessions that are over. It reports whether there were any.
func (o *operation) refreshLocked() (some bool) {
	for m := range o.v.Slots {
		if len(o.names[m]) == 0 {
			continue
		}
		names := o.names[m][:0]
		for _, n := range o.names[m] {
			if !o.v.Ended.Known(o.v.Members[m].Incarnation, n) {
				names = append(names, n)
			}
		}
		if len(names) < len(o.names[m]) {
			some = true
			o.names[m] = names
			o.heedLocked(&o.phase, m)
		}
	}
	o.waitingLocked()
	return some
}

const (
	never         = time.Duration(math.MaxInt64)
	leastPatience = 40 * time.Millisecond
	// sessionPoll is how often a request looks whether the sessions are over for which it waits.
	sessionPoll = 5 * time.Millisecond
	// firstLook is how long a phase goes on before its request looks whether it waits for holders
	// alone. As a rule it is over by then.
	firstLook = 2 * sessionPoll
)

// holderPatience is how long a phase waits for holders of leases before it has their sessions
// ended: two fifths of a term, or a quarter of the time that the request has, and leastPatience at
// least. The session ends for all requests, and a holder that is late on a busy machine is alive.
func (o *operation) holderPatience() time.Duration {
	if o.v.Term == 0 {
		return never
	}
	return max(leastPatience, min(o.v.Term/5*2, o.deadline.Sub(o.began)/4))
}

// awaitHolders is called while the present phase waits only for holders of leases. It returns after
// which time to look again, and zero when a session is over and the verdict may be another one.
//
// A holder that is slow for a moment keeps its sessions: without them it has to ask for each get.
// One that cannot answer in this phase is not waited for, and neither is one that has let its
// session at this node run out: it renews those of others no more either.
func (o *operation) awaitHolders() time.Duration {
	now := time.Now()
	o.mu.Lock()
	if o.refreshLocked() {
		o.mu.Unlock()
		return 0
	}
	patience := o.holderPatience() - now.Sub(o.began)
	type session struct {
		grantor int
		name    lease.Name
	}
	var over []session
	for m := range o.v.Slots {
		if !o.phase.yes.has(m) {
			continue
		}
		for _, n := range o.names[m] {
			h := o.v.Slot(n.Holder)
			if h >= 0 && (o.phase.yes | o.phase.no).has(h) {
				continue
			}
			if patience <= 0 || h < 0 || o.phase.failed.has(h) || o.v.Given.Lapsed(n.Holder) {
				over = append(over, session{m, n})
			}
		}
	}
	o.mu.Unlock()
	pause := sessionPoll
	for _, s := range over {
		if s.grantor != o.v.Self {
			o.c.cfg.Peers.Close(o.v, s.grantor, s.name)
		} else if o.v.Given.Close(s.name) == 0 {
			o.v.Ended.Note(o.v.Incarnation(), s.name)
			pause = 0
		}
	}
	return pause
}

// awaitedLocked returns the holders of leases for which the present phase waits, if it waits for
// nobody else.
func (o *operation) awaitedLocked() (s memberSet) {
	p := &o.phase
	if !p.blocked() {
		return nobody
	}
	for m := range o.v.Slots {
		if p.yes.has(m) {
			s |= p.awaits[m] &^ (p.yes | p.no)
		}
	}
	return s
}

// covered reports whether a record that a query phase has found is complete, if the answers of its
// holders are taken as acknowledgements (L7).
func (o *operation) covered(f *findings) bool {
	need := o.firm()
	if f.holders.len() < need {
		return false
	}
	if o.weak() {
		return true
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	counts := func() (n int) {
		for m := range o.v.Slots {
			if f.holders.has(m) && !o.phase.stuck.has(m) && o.phase.awaits[m]&^f.holders == 0 {
				n++
			}
		}
		return n
	}
	return counts() >= need || o.refreshLocked() && counts() >= need
}
