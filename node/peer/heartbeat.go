package peer

import (
	"context"
	"errors"
	"time"

	"viakv/api/health"
	"viakv/api/sleep"
	"viakv/node/wire"
	"viakv/quorum/version"
)

// Heartbeats show which members answer, with or without traffic. A member sends one to each other
// member every heartbeatEvery. A heartbeat is stamped, and it is admitted as the requests of a
// quorum are. So an answer proves that the member's own process is there, and takes requests of
// this node's cluster and epoch. What another process answers at the same address counts for
// nothing. Both sides also tell how their memory stands (N5), what they have counted of their
// clients' requests, and what they know to be complete of members that are gone (L8).

const (
	// heartbeatEvery is the time between two heartbeats to a member, retryAfter that after one that
	// failed, and awayRetry that while the member counts as away.
	heartbeatEvery = 500 * time.Millisecond
	retryAfter     = 25 * time.Millisecond
	awayRetry      = 200 * time.Millisecond
	// heartbeatPatience is how long a heartbeat may take.
	heartbeatPatience = time.Second
	// contactValid is how long an answer counts.
	contactValid = 2 * time.Second
	// failuresCount is how long heartbeats must have failed to make a member count as away before
	// that. They may fail for a moment when a connection is made anew, or when the member is about
	// to reach the epoch.
	failuresCount = 300 * time.Millisecond
)

// contact is what heartbeats have shown of the process at the other end of a link. It is immutable.
type contact struct {
	cluster  uint64
	by       version.Incarnation
	answered time.Time // when it last answered; zero: never
	failing  time.Time // since when heartbeats have had no answer; zero: the last one had
	// reach says why the last heartbeat had no answer.
	reach health.Reach
	// refused says that a reply proves that the process does not serve as this member.
	refused bool
}

// reachAt returns what the contact says at a moment.
func (c *contact) reachAt(now time.Time) health.Reach {
	switch {
	case c.refused:
		return c.reach
	case !c.failing.IsZero() && now.Sub(c.failing) >= failuresCount:
		return c.reach
	case c.answered.IsZero():
		return health.Unheard
	case now.Sub(c.answered) > contactValid:
		return health.Silent
	}
	return health.Answers
}

// Reach returns what is known of a member's process. It does not block.
func (e *Epoch) Reach(m int) health.Reach {
	member := &e.View.Members[m]
	switch c := e.links[m].contact.Load(); {
	case m == e.View.Self:
		return health.Answers
	case e.Self == 0 || e.membership.Sealed(): // this node sends no heartbeats
		return health.Unheard
	case member.Holder() == 0:
		return health.Unheard
	case c == nil || c.by != member.Holder() || c.cluster != e.View.Cluster:
		return health.Unheard
	default:
		reach := c.reachAt(time.Now())
		if reach == health.Answers && !e.connected(m) {
			reach = health.NoConnection // since it has last answered
		}
		return reach
	}
}

// Watch sends heartbeats to all other members until the epoch or the membership is over, or ctx
// ends.
func (e *Epoch) Watch(given context.Context) {
	ctx, cancel := e.while(given)
	defer cancel()
	e.Each(func(m int) {
		if m == e.View.Self || e.Self == 0 || e.View.Members[m].Holder() == 0 {
			<-ctx.Done()
			return
		}
		for ctx.Err() == nil {
			pause := heartbeatEvery
			if !e.heartbeat(ctx, m) {
				pause = retryAfter
				if away(e.Reach(m)) {
					pause = awayRetry
				}
			}
			sleep.For(ctx, pause)
		}
	})
}

// Beat sends one heartbeat to each other member, and returns when all have answered or failed.
func (e *Epoch) Beat(ctx context.Context) {
	if e.Self == 0 {
		return
	}
	e.Each(func(m int) {
		if m != e.View.Self && e.View.Members[m].Holder() != 0 {
			e.heartbeat(ctx, m)
		}
	})
}

// heartbeat sends one heartbeat to a member, and notes what it shows. It returns false when it had
// no answer.
func (e *Epoch) heartbeat(given context.Context, m int) bool {
	to := e.View.Members[m].Holder()
	ctx, cancel := context.WithTimeout(given, heartbeatPatience)
	defer cancel()
	b, err := e.ask(ctx, m, wire.AppendHeartbeat(wire.AppendRequest(nil, wire.Heartbeat, e.stamp(to)), e.ownReport()))
	switch {
	case given.Err() != nil: // it was cut short, and shows nothing
		return true
	case errors.Is(err, context.DeadlineExceeded):
		e.missed(m, to, health.Silent)
		return false
	case err != nil:
		e.missed(m, to, health.NoConnection)
		return false
	}
	reply, err := wire.ParseReply(b)
	if err != nil {
		e.missed(m, to, health.Elsewhere)
		return false
	}
	e.membership.hear(to, &reply)
	switch reply.Status {
	case wire.OK:
		r, err := wire.ParseHeartbeat(reply.Body)
		if err != nil {
			e.missed(m, to, health.Elsewhere)
			return false
		}
		e.note(m, &contact{cluster: e.View.Cluster, by: to, answered: time.Now()})
		e.observe(to, &r)
		return true
	case wire.Stale: // this epoch is over
		e.membership.learn(reply.Epoch, reply.Body)
		e.missed(m, to, health.Silent)
	case wire.Behind:
		// The next heartbeat shows whether it has helped.
		_ = e.membership.cfg.Host.UpdatePeer(ctx, e.links[m].address)
		if given.Err() == nil {
			e.missed(m, to, health.Silent)
		}
	case wire.WrongCluster, wire.WrongDestination, wire.NotActive:
		reach := e.membership.cfg.Host.WhoAnswers(ctx, e.View.Members[m].Name)
		if given.Err() != nil {
			return true
		}
		if reach == health.Restarted || reach == health.Elsewhere {
			e.note(m, &contact{cluster: e.View.Cluster, by: to, reach: reach, refused: true})
			return false
		}
		if reach == health.Answers { // its process has not reached this cluster or epoch yet, or has left it
			reach = health.Elsewhere
		}
		e.missed(m, to, reach)
	default:
		e.missed(m, to, health.Silent)
	}
	return false
}

// missed notes a heartbeat that had no answer.
func (e *Epoch) missed(m int, to version.Incarnation, reach health.Reach) {
	if reach == health.Silent && !e.connected(m) {
		reach = health.NoConnection
	}
	next := contact{cluster: e.View.Cluster, by: to, reach: reach, failing: time.Now()}
	if c := e.links[m].contact.Load(); c != nil && c.by == to && c.cluster == e.View.Cluster {
		if c.reach == health.Restarted {
			return // the process is gone for good, whatever becomes of the one in its place
		}
		next.answered = c.answered
		if !c.failing.IsZero() {
			next.failing = c.failing
			// Attempts to connect end now in one way and now in the other. That is nothing new.
			if c.reach == health.NoConnection && reach == health.Silent {
				next.reach = c.reach
			}
		}
	}
	e.note(m, &next)
}

// connected reports whether there is a connection to a member's address.
func (e *Epoch) connected(m int) bool {
	return e.membership.cfg.Transport.Health(e.links[m].address).Connected
}

// note notes what is known of a member from now on.
func (e *Epoch) note(m int, c *contact) {
	k := e.links[m]
	k.contact.Store(c)
	who := version.Incarnation(0)
	if away(c.reachAt(time.Now())) {
		who = c.by
	}
	k.away.Store(uint64(who))
}

// away reports whether a reach shows that requests to the member will fail.
func away(r health.Reach) bool { return r != health.Answers && r != health.Unheard }

// serveHeartbeat answers a heartbeat: it notes the sender's report, and answers with this node's
// own.
func (e *Epoch) serveHeartbeat(dst []byte, from version.Incarnation, body []byte) ([]byte, error) {
	r, err := wire.ParseHeartbeat(body)
	if err != nil {
		return dst, err
	}
	e.observe(from, &r)
	return wire.AppendHeartbeat(e.reply(dst, wire.OK), e.ownReport()), nil
}
