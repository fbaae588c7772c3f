package quorum

import (
	"errors"
	"time"

	"viakv/api/kv"
	"viakv/quorum/replica"
)

// errDeadline ends a phase at the request's deadline.
var errDeadline = errors.New("quorum: deadline")

// errUnvouched ends a phase whose record is complete, when those who could still vouch for it are
// silent for the term of a lease. They are paused, cut off or dead, and as a rule stay so for
// longer than a request has time.
var errUnvouched = errors.New("quorum: who could vouch for the record is silent")

// wait returns nil once the phase that has just begun is met. Otherwise it returns why the phase
// will not be met by the request's deadline. query is the kind of a query phase, and zero for other
// phases. A query also asks the remaining replicas once it has waited for HedgeAfter, or when a
// replica fails.
func (o *operation) wait(query Kind) error {
	patience := o.c.cfg.HedgeAfter
	if query == 0 && o.v.Term > 0 { // leases for which a write waits end within that time
		patience = max(patience, o.holderPatience()+o.v.Term+2*sessionPoll)
	}
	return o.waitUntil(o.began, o.deadline, query, patience)
}

// waitUntil is wait with a deadline of its own. now is the present time, or zero when the caller
// does not know it. Once this node has left the epoch, the phase is given up when it is older than
// patience: those that have answered do not answer again, and tell of no newer epoch then.
func (o *operation) waitUntil(now, deadline time.Time, query Kind, patience time.Duration) error {
	// hedge says that the remaining replicas were not asked yet.
	hedge := query != 0
	for {
		verdict, lost, unvouched, pause := o.judge()
		switch {
		case pause == 0:
			continue
		case verdict == met:
			return nil
		case verdict == over:
			return replica.ErrEpoch
		case verdict == impossible:
			return kv.ErrTooFewReplicas
		case hedge && lost:
			hedge = false
			o.askMore(query, MaxMembers, false)
			continue
		}
		if now.IsZero() {
			now = time.Now()
		}
		age := now.Sub(o.began)
		left, err := o.remaining(age, deadline.Sub(now), patience, unvouched)
		if err != nil {
			return err
		}
		if hedge {
			if age >= o.c.cfg.HedgeAfter {
				hedge = false
				o.c.stats.hedged.Add(1)
				o.askMore(query, MaxMembers, false)
				continue
			}
			left = min(left, o.c.cfg.HedgeAfter-age)
		}
		o.sleep(min(left, pause), age >= patience)
		now = time.Time{} // rarely needed again
	}
}

// judge returns what the present phase has come to: its verdict, whether a member was lost, and
// whether it waits for silent members to vouch. After pause it has to be looked at again even if
// nothing has woken the request; zero: at once.
func (o *operation) judge() (now verdict, lost, unvouched bool, pause time.Duration) {
	o.mu.Lock()
	now, lost, unvouched = o.phase.verdict(), o.phase.failed != 0, o.phase.unvouched()
	blocked, naming := now == pending && o.phase.blocked(), o.phase.naming
	o.mu.Unlock()
	switch {
	case blocked:
		pause = o.awaitHolders()
	case naming && o.v.Term > 0: // it may be blocked later, which wakes nobody
		pause = firstLook
	default:
		pause = never
	}
	return now, lost, unvouched, pause
}

// remaining returns how long a phase of some age may go on before the request has to look at the
// time again, or the error with which it ends. left is how long the request has.
func (o *operation) remaining(age, left, patience time.Duration, unvouched bool) (time.Duration, error) {
	switch {
	case left <= 0:
		return 0, errDeadline
	case age >= patience && o.v.Over(): // at the next epoch all is judged anew
		return 0, replica.ErrEpoch
	case age < patience && patience != never:
		left = min(left, patience-age)
	}
	switch {
	case !unvouched:
		return left, nil
	case age < o.v.Term:
		return min(left, o.v.Term-age), nil
	case o.v.Over():
		return 0, replica.ErrEpoch
	}
	return 0, errUnvouched
}

// sleep returns when the phase was decided, after some time, or, if it heeds that, at the end of
// the operation's epoch. One channel to wait on is much cheaper than two.
func (o *operation) sleep(d time.Duration, heed bool) {
	o.timer.Reset(d)
	if !heed {
		<-o.wake
		return
	}
	select {
	case <-o.wake:
	case <-o.v.Superseded:
	}
}
