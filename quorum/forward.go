package quorum

import (
	"errors"
	"time"

	"viakv/api/kv"
	"viakv/quorum/replica"
	"viakv/quorum/version"
)

// A remove is sent to its key's owner once, and then to no other node: only the owner can tell what
// became of it there. So an owner that does not answer costs the request its outcome, and the
// client its time until the request notices. Two rules keep that rare and short. A remove is sent
// only to an owner whose answers are not overdue. An owner that is silent for too long is asked a
// second question, which shows whether it answers at all.

// maxForwarded bounds the removes that are under way at one owner. A single remove costs less at
// its key's owner than split votes do. But nearly all removes of a crowd are of different keys.
// Where they run at the node that they arrived at, each saves a round trip and a wait in the
// owner's queue.
const maxForwarded = 64

// forward sends the remove to the key's owner. It returns false when this node is the owner, and
// when no remove was sent or the owner certainly did nothing.
func (o *operation) forward() (bool, error) {
	v := o.v
	owner := v.Ring.Owner(o.hash.Partition())
	if owner == v.Self || v.Members[owner].Incarnation == 0 || !o.c.cfg.Peers.Answers(v, owner) {
		return false, nil
	}
	if o.c.forwarding[owner].Add(1) > maxForwarded {
		o.c.forwarding[owner].Add(-1)
		return false, nil
	}
	defer o.c.forwarding[owner].Add(-1)
	o.c.stats.forwarded.Add(1)
	o.enter(newPhase(1, only(owner), nobody))
	o.sequence = o.c.sequence.Add(1)
	o.start(owner, Remove, true)
	err := o.await(owner)
	o.mu.Lock()
	status, notSent, cause := Failed, false, err
	if call := o.calls[owner]; !call.started { // a call that is still open belongs to its carrier
		status, notSent, cause = call.Status, call.NotSent, call.Err
	}
	o.mu.Unlock()
	switch {
	case status == OK:
		return true, nil
	case status == Missing:
		return true, kv.ErrMissing
	case status == Stale || status == Failed && notSent:
		return false, nil
	}
	if status == Open && errors.Is(cause, kv.ErrContended) {
		return true, o.contended()
	}
	o.c.stats.unknown.Add(1)
	return true, &kv.Unavailable{Outcome: kv.Unknown, Reason: "the remove was sent to " + v.Members[owner].Name + ", the key's owner", Err: cause}
}

// errSilent reports an owner that answers nothing at all.
var errSilent = errors.New("quorum: no answer, and none to a second question")

// await waits for the owner's answer as long as the owner shows that it is there. A remove may take
// its time, since other removes of the key come first, but a lookup does not.
func (o *operation) await(owner int) error {
	patience := o.c.cfg.Timeout / 20
	for {
		began := time.Now()
		// A request with more time waits longer for an owner that is short of processor time.
		silence := max(o.c.cfg.Timeout, o.deadline.Sub(began)) / 4
		until := earlier(o.deadline, began.Add(patience))
		if err := o.waitUntil(began, until, 0, never); err != errDeadline || until.Equal(o.deadline) {
			return err
		}
		// A reply to another request shows that the owner is there, too. Under a load of removes
		// this saves a lookup for each of them.
		heard := func() bool { return o.c.cfg.Peers.Heard(o.v, owner).After(began) }
		if !heard() && !o.c.probe(o.v, owner, o.key, earlier(o.deadline, time.Now().Add(silence))) && !heard() {
			return errSilent
		}
	}
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// probe asks a member to look the key up, and reports whether it answered in time.
func (c *Coordinator) probe(v *replica.View, member int, key []byte, deadline time.Time) bool {
	op, err := c.begin(key, kv.Options{Deadline: deadline})
	if err != nil {
		return false
	}
	defer op.finish()
	if op.v != v {
		// The epoch is over, and its members may be others in the next one. The next attempt will
		// tell.
		return true
	}
	op.own = version.Record{}
	op.enter(phase{need: 1, voters: only(member)})
	op.start(member, ReadTag, true)
	err = op.wait(0)
	return err == nil || err == replica.ErrEpoch
}
