package peer

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"viakv/api/sleep"
	"viakv/node/wire"
	"viakv/quorum/lease"
	"viakv/quorum/replica"
	"viakv/quorum/version"
	"viakv/quorum/version/rule"
	"viakv/ring/keyspace"
)

// A node asks each other member for a lease, and renews it four times a term (package lease). It
// does so only while it is asked for what leases make cheap: a write waits for each holder.

// leases are the leases of a membership.
type leases struct {
	given *lease.Grants // nil before the first epoch, which tells the term
	held  *lease.Held
	// holder is the last incarnation that this node was active or pending as. It outlives a leave,
	// so that leases can be given back.
	holder atomic.Uint64
	ended  lease.Ended

	mu      sync.Mutex
	closing map[closing]struct{} // what is being closed
}

// closing is a session that a member of an epoch is to end.
type closing struct {
	grantor version.Incarnation
	name    lease.Name
}

// bind sets the fields of a view that belong to leases.
func (l *leases) bind(v *replica.View, cfg *Config) {
	if l.given == nil {
		clock := cfg.Clock
		if cfg.Marker != nil {
			clock = lease.Jumping(clock, cfg.Marker)
		}
		l.given, l.held, l.closing = lease.NewGrants(cfg.Clock, v.Term), lease.NewHeld(clock, v.Term), map[closing]struct{}{}
	}
	v.Given, v.Held, v.Ended = l.given, l.held, &l.ended
	if self := v.Me().Holder(); self != 0 {
		l.holder.Store(uint64(self))
	}
}

// Quiet returns how long it is until all promises are over that were made to members who may be
// below an epoch. Zero: they are over (L10).
func (m *Membership) Quiet(at version.Epoch) time.Duration {
	if e := m.present.Load(); e != nil {
		return e.View.Given.Quiet(at)
	}
	return 0
}

// Term returns how long a lease lasts.
func (m *Membership) Term() time.Duration {
	if e := m.present.Load(); e != nil {
		return e.View.Term
	}
	return 0
}

const (
	// renewals is how often a lease is renewed in a term.
	renewals = 4
	// unusedAfter is how long leases are held that are of no use.
	unusedAfter = time.Second
	// leasePatience bounds how long a request for a lease may take, in terms. The answer to a
	// longer one counts for nothing.
	leasePatience = 2
)

// HoldLeases holds leases of the other members, while they are of use, until the epoch or the
// membership is over, or ctx ends.
func (e *Epoch) HoldLeases(given context.Context) {
	ctx, cancel := e.while(given)
	defer cancel()
	held, place := e.View.Held, e.View.Place()
	if !e.View.Leases || !place.Wants() {
		held.Drop()
		if e.View.Self < 0 { // it has left
			held.Stop()
		}
		e.Each(func(m int) { e.returnLease(ctx, m) })
		for e.View.Leases && sleep.For(ctx, unusedAfter) {
			held.Pause() // shows whether leases would be of use
		}
		<-ctx.Done()
		return
	}
	var catching sync.WaitGroup
	defer catching.Wait()
	turn := make(chan struct{}, 1) // after the first member's records, there is little left to merge
	catching.Go(func() {
		for sleep.For(ctx, unusedAfter) {
			if held.Pause() {
				held.Drop()
			}
		}
	})
	e.Each(func(m int) {
		if m == e.View.Self || !e.View.Members[m].Active() {
			return
		}
		caught := make(chan struct{}, 1) // holds a token while the node catches up with the member
		for ctx.Err() == nil {
			if paused := held.Paused(); paused != nil {
				e.returnLease(ctx, m)
				select {
				case <-paused:
				case <-ctx.Done():
				}
				continue
			}
			if session := e.askLease(ctx, m); session != 0 {
				select {
				case caught <- struct{}{}:
					catching.Go(func() {
						turn <- struct{}{}
						defer func() { <-turn }()
						if e.membership.cfg.Host.CatchUp(ctx, &e.View, &e.View.Members[m]) == nil {
							held.CaughtUp(e.View.Members[m].Incarnation, session)
						}
						<-caught
					})
				default:
				}
			}
			sleep.For(ctx, e.View.Term/renewals)
		}
	})
}

// askLease asks a member for a lease, or renews it. It returns the session with which this node has
// to catch up (L2). Zero: with none.
func (e *Epoch) askLease(given context.Context, m int) (session uint64) {
	v, grantor := &e.View, e.View.Members[m].Incarnation
	ctx, cancel := context.WithTimeout(given, leasePatience*v.Term)
	defer cancel()
	asked := v.Held.Ask()
	r, lack := e.sendLease(ctx, m, &wire.LeaseRequest{Wanted: true, Counts: v.Held.Counts(grantor), Returned: v.Held.Returned(grantor)})
	if lack == lease.Nothing && r.Session == 0 {
		lack = lease.NotGiven
	}
	switch {
	case given.Err() != nil && lack == lease.NoAnswer: // it was cut short, and shows nothing
		return 0
	case lack != lease.Nothing:
		v.Held.Lacks(grantor, lack)
		return 0
	case v.Held.Given(grantor, r.Session, asked):
		return 0
	}
	if r.Digest != nil {
		own, err := e.Store.Digest(v.Epoch, keyspace.All())
		if err == nil && own == *r.Digest {
			v.Held.CaughtUp(grantor, r.Session)
			return 0
		}
	}
	return r.Session
}

// returnLease gives a lease back that this node has given up.
func (e *Epoch) returnLease(ctx context.Context, m int) {
	to := e.View.Members[m].Incarnation
	if returned := e.View.Held.Returned(to); m != e.View.Self && to != 0 && returned != 0 {
		ctx, cancel := context.WithTimeout(ctx, leasePatience*e.View.Term)
		defer cancel()
		e.sendLease(ctx, m, &wire.LeaseRequest{Returned: returned})
	}
}

// sendLease sends a request for a lease to a member. It returns NoAnswer or OtherEpoch when the
// member did not carry it out, and Nothing otherwise.
func (e *Epoch) sendLease(ctx context.Context, m int, q *wire.LeaseRequest) (r wire.LeaseReply, lack lease.Lack) {
	to := e.View.Members[m].Incarnation
	stamp := e.stamp(to)
	stamp.From = version.Incarnation(e.membership.leases.holder.Load())
	b, err := e.ask(ctx, m, wire.AppendLease(wire.AppendRequest(nil, wire.Lease, stamp), q))
	if err != nil {
		return r, lease.NoAnswer
	}
	reply, err := wire.ParseReply(b)
	if err != nil {
		return r, lease.NoAnswer
	}
	e.membership.hear(to, &reply)
	switch reply.Status {
	case wire.OK:
	case wire.Stale, wire.Behind:
		return r, lease.OtherEpoch
	default: // its process is another one, or serves no more
		return r, lease.NoAnswer
	}
	if r, err = wire.ParseLeaseReply(reply.Body); err != nil {
		return r, lease.NoAnswer
	}
	return r, lease.Nothing
}

// EndLeases gives back all leases that this node holds, and gives no more, because it is about to
// stop or to leave (L13). It returns when the other members know, and at the latest after
// goodbyeTime or at the end of ctx.
func (e *Epoch) EndLeases(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, goodbyeTime)
	defer cancel()
	e.View.Given.Stop()
	e.View.Held.Stop()
	e.Each(func(m int) { e.returnLease(ctx, m) })
}

// serveLease gives a member a lease, or renews it, and takes back what the member does not count on
// any more. An epoch does not matter for the latter.
func (e *Epoch) serveLease(dst []byte, stamp wire.Stamp, body []byte) ([]byte, bool) {
	r, err := wire.ParseLease(body)
	if err != nil {
		return wire.AppendReply(dst, wire.Malformed, 0, 0, e.View.Epoch), true
	}
	if stamp.To != e.Self || stamp.To == 0 {
		return e.refuse(dst, wire.WrongDestination), true
	}
	e.View.Given.Returned(stamp.From, r.Returned)
	var reply wire.LeaseReply
	if r.Wanted {
		if status := e.admit(stamp, false); status != wire.OK {
			return e.refuse(dst, status), true
		}
		// A joiner gives none before its barrier is done: what this brings names nobody (L2).
		if joining := e.View.Barrier != nil && e.View.Barrier.Joined && !rule.Broken(rule.Joiner); !joining && e.View.Slot(stamp.From) >= 0 {
			reply.Session = e.View.Given.Give(stamp.From, e.View.Epoch)
		}
		if reply.Session != 0 && reply.Session != r.Counts {
			digest, err := e.Store.Digest(e.View.Epoch, keyspace.All()) // after the session has begun
			if err != nil {
				return dst, false
			}
			reply.Digest = &digest
		}
	}
	return wire.AppendLeaseReply(e.reply(dst, wire.OK), &reply), true
}

// serveClose sees to it that a session of this node ends. The epochs of the two nodes do not
// matter.
func (e *Epoch) serveClose(dst []byte, stamp wire.Stamp, body []byte) []byte {
	n, err := wire.ParseClose(body)
	switch {
	case err != nil:
		return wire.AppendReply(dst, wire.Malformed, 0, 0, e.View.Epoch)
	case stamp.To != e.Self || stamp.To == 0:
		return e.refuse(dst, wire.WrongDestination)
	}
	return wire.AppendClosed(e.reply(dst, wire.OK), e.View.Given.Close(n))
}

// Close implements quorum.Peers.
func (Client) Close(v *replica.View, member int, n lease.Name) {
	e := Of(v)
	l, what := &e.membership.leases, closing{v.Members[member].Incarnation, n}
	l.mu.Lock()
	_, already := l.closing[what]
	l.closing[what] = struct{}{}
	l.mu.Unlock()
	if already {
		return
	}
	end := func() {
		l.mu.Lock()
		delete(l.closing, what)
		l.mu.Unlock()
	}
	if !e.membership.cfg.Host.Go(func(ctx context.Context) {
		defer end()
		e.close(ctx, member, n)
	}) {
		end()
	}
}

// closePolls is how often a member is asked in a term whether a session is over. Its holder may
// give it back before its end.
const closePolls = 20

// close has a member end a session, and notes when it is over. It gives up after two terms: whoever
// still waits for the session then asks again. The end of the epoch does not matter.
func (e *Epoch) close(ctx context.Context, m int, n lease.Name) {
	ctx, cancel := context.WithTimeout(ctx, 2*e.View.Term)
	defer cancel()
	for ctx.Err() == nil {
		if left, ok := e.sendClose(ctx, m, n); ok && left == 0 {
			e.View.Ended.Note(e.View.Members[m].Incarnation, n)
			return
		}
		sleep.For(ctx, e.View.Term/closePolls)
	}
}

// sendClose asks a member to end a session. It returns how long it is until the session is over,
// and false when the member did not answer.
func (e *Epoch) sendClose(ctx context.Context, m int, n lease.Name) (left time.Duration, ok bool) {
	to := e.View.Members[m].Incarnation
	ctx, cancel := context.WithTimeout(ctx, e.View.Term)
	defer cancel()
	b, err := e.ask(ctx, m, wire.AppendClose(wire.AppendRequest(nil, wire.Close, e.stamp(to)), n))
	if err != nil {
		return 0, false
	}
	reply, err := wire.ParseReply(b)
	if err != nil || reply.Status != wire.OK {
		return 0, false
	}
	left, err = wire.ParseClosed(reply.Body)
	return left, err == nil
}
