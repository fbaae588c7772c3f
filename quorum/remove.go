package quorum

import (
	"context"
	"errors"
	"time"

	"viakv/api/kv"
	"viakv/quorum/replica"
	"viakv/quorum/version"
)

// Remove removes the key's value. Its answer "missing" makes it a test-and-clear, which no register
// can give (Herlihy: Wait-free synchronization, TOPLAS 13, 1991). So the replicas vote for a
// tombstone. Each replica gives its vote for one version to one request only, and two majorities
// share a replica. So at most one of several overlapping removes of one value wins.
//
// The votes of overlapping removes can split so that none wins. Then no node can tell whether a
// tombstone will stay, and the outcome is unknown. To make that rare, a remove is sent to the key's
// owner, which runs the removes of a key one after another. Safety does not depend on it.
func (c *Coordinator) Remove(_ context.Context, key []byte, opt kv.Options) error {
	if opt.Deadline.IsZero() {
		opt.Deadline = time.Now().Add(c.cfg.Timeout)
	}
	if !c.line.enter(opt.Deadline) {
		c.stats.unavailable.Add(1)
		return &kv.Unavailable{Outcome: kv.None, Reason: "the remove had no turn among the others of this node", Err: errDeadline}
	}
	defer c.line.leave()
	op, err := c.begin(key, opt)
	if err != nil {
		return err
	}
	forwarded, err := op.forward()
	op.finish()
	if forwarded {
		return err
	}
	return c.removeHere(key, opt, false)
}

// RemoveHere coordinates a remove that another node has forwarded.
func (c *Coordinator) RemoveHere(_ context.Context, key []byte, opt kv.Options) error {
	return c.removeHere(key, opt, true)
}

// removeHere coordinates a remove at this node. carried says that another node has forwarded it.
func (c *Coordinator) removeHere(key []byte, opt kv.Options, carried bool) error {
	op, err := c.begin(key, opt)
	if err != nil {
		return err
	}
	defer op.finish()
	op.strict, op.carried = true, carried
	c.stats.removes.Add(1)
	done, err := c.removes.enter(string(key), op.deadline)
	if err != nil {
		return op.unavailable(kv.None, "waiting for other removes of the key", err)
	}
	defer done()
	for {
		op.drop() // what an earlier round has numbered: nobody was asked for a vote
		best, err := op.base()
		if err != nil {
			return err
		}
		if !best.Live() {
			return kv.ErrMissing
		}
		if !op.current() { // D2, as in query
			if !op.renew() {
				return op.unavailable(kv.None, "remove", replica.ErrEpoch)
			}
			continue
		}
		op.vector = append(op.vector[:0], best.Vector...)
		op.record = version.Record{
			Tag:    best.Tag.Tombstone(),
			Owner:  version.Operation{Incarnation: op.v.Incarnation(), Sequence: op.take()},
			Vector: op.vector,
		}
		if err := op.write(Vote); err != errOvertaken {
			return err
		}
	}
}

// base finds the record that a remove is about.
func (o *operation) base() (*version.Record, error) {
	o.unasked = false
	if o.alone() && o.likelyEnough(o.votes()) && o.askOwn(ReadTag, 1) == nil && (o.own.Live() || o.v.Confirmed(&o.own)) {
		o.unasked = o.own.Live()
		return &o.own, nil
	}
	return o.read(ReadTag, o.votes())
}

// errOvertaken reports that the own replica holds something newer than what was read, and that no
// replica has voted yet. The remove then starts over.
var errOvertaken = errors.New("quorum: overtaken before the vote")

// outvoted reports whether refusals alone have ended the present phase.
func (o *operation) outvoted() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.phase.outvoted()
}

// votes returns how many votes a remove needs: at least those of a majority, whatever W is. With
// fewer, two removes could win. Where nobody was asked for the base, R votes show that nothing
// newer is complete: a replica that holds something newer does not vote (L15).
func (o *operation) votes() int {
	n := max(o.w, o.v.Slots/2+1)
	if o.unasked {
		n = max(n, o.v.R)
	}
	return n
}

// poll runs a write phase in which the replicas vote. This node's own replica votes first. While it
// alone was asked, its refusal lets the remove read again. Once others were asked, they may have
// voted, so a refusal counts as a nack only. asked says so from one round to the next.
func (o *operation) poll(asked *bool) error {
	o.beginPhase(o.votes(), nobody, true)
	voted, err := o.v.Store.Vote(o.v.Epoch, o.hash, o.key, &o.record)
	switch {
	case err != nil:
		return replica.ErrEpoch
	case !voted && !*asked:
		return errOvertaken
	}
	*asked = true
	o.countOwn(voted)
	o.sendAll(Vote, nobody, o.votes()-1)
	return o.wait(0)
}
