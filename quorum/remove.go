package quorum

import (
	"context"
	"errors"
	"time"

	"viakv/api/kv"
	"viakv/quorum/replica"
	"viakv/quorum/version"
)

// Remove removes the key's value. "Missing" makes it a test-and-clear, which no register can give
// (Herlihy: Wait-free synchronization, TOPLAS 13, 1991): so a tombstone is voted for, and each
// replica gives its vote for one version to one request only. Two majorities share a replica; so of
// overlapping removes of one value at most one wins.
//
// The votes of overlapping removes can split so that none wins, and then nobody can tell whether a
// tombstone will stay: outcome unknown. That is why a remove is sent to the key's owner, which runs
// the removes of a key one after another. Safety never depends on it.
func (c *Coordinator) Remove(ctx context.Context, key []byte, opt kv.Options) error {
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
	return c.RemoveHere(ctx, key, opt)
}

// RemoveHere coordinates a remove at this node.
func (c *Coordinator) RemoveHere(_ context.Context, key []byte, opt kv.Options) error {
	op, err := c.begin(key, opt)
	if err != nil {
		return err
	}
	defer op.finish()
	op.strict = true
	c.stats.removes.Add(1)
	done, err := c.removes.enter(string(key), op.deadline)
	if err != nil {
		return op.unavailable(kv.None, "waiting for other removes of the key", err)
	}
	defer done()
	for {
		best, err := op.read(ReadTag, op.votes())
		if err != nil {
			return err
		}
		if !best.Live() {
			return kv.ErrMissing
		}
		op.vector = append(op.vector[:0], best.Vector...)
		op.record = version.Record{
			Tag:    best.Tag.Tombstone(),
			Owner:  version.Operation{Incarnation: op.v.Incarnation(), Sequence: c.sequence.Add(1)},
			Vector: op.vector,
		}
		if !op.current() { // D2, as in query
			if !op.renew() {
				return op.unavailable(kv.None, "remove", replica.ErrEpoch)
			}
			continue
		}
		if err := op.write(op.poll()); !errors.Is(err, errOvertaken) {
			return err
		}
	}
}

// errOvertaken: the own replica holds something newer than what was read, and no vote has been
// given: start over.
var errOvertaken = errors.New("quorum: overtaken before the vote")

// votes is how many votes a remove needs: those of a majority, whatever W is, or two removes could
// win.
func (o *operation) votes() int { return max(o.w, o.v.Slots/2+1) }

// poll returns the write phase of a remove, in which the replicas vote. This node's own replica
// votes first: where it refuses in the first round, nobody else was asked, and the remove may read
// again. In a later round votes may have been given, and a refusal is but a nack.
func (o *operation) poll() func() error {
	first := true
	return func() error {
		o.begin(o.votes())
		voted, err := o.v.Store.Vote(o.v.Epoch, o.hash, o.key, &o.record)
		switch {
		case err != nil:
			return replica.ErrEpoch
		case !voted && first:
			return errOvertaken
		}
		first = false
		o.countOwn(voted)
		o.sendAll(Vote, everyone, o.votes()-1)
		return o.wait(0)
	}
}
