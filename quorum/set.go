package quorum

import (
	"context"
	"time"

	"viakv/api/kv"
	"viakv/quorum/replica"
	"viakv/quorum/version"
	"viakv/quorum/version/rule"
)

// Set stores a value.
func (c *Coordinator) Set(ctx context.Context, key, value []byte, opt kv.Options) (version.Tag, error) {
	op, err := c.begin(key, opt)
	if err != nil {
		return version.Tag{}, err
	}
	defer op.finish()
	c.stats.writes.Add(1)
	err = op.set(value)
	if err != nil && rule.Broken(rule.OneTag) {
		opt.Deadline = time.Now().Add(c.cfg.Timeout)
		return c.Set(ctx, key, value, opt)
	}
	return op.record.Tag, err
}

// set runs the phases of a write: one round where that will do, and otherwise two.
func (o *operation) set(value []byte) error {
	if err := o.room(); err != nil {
		return err
	}
	var f findings
	if peer, ok := o.fastPeer(); ok {
		var done bool
		var err error
		if f, done, err = o.offer(peer, value); done {
			return err
		}
	}
	if f.best == nil {
		var err error
		if f, err = o.query(kv.None); err != nil {
			return err
		}
	}
	if err := o.refuse(f.full); err != nil {
		return err
	}
	o.mint(f.best, value)
	return o.writeStore()
}

// query runs the query phase of a write: the tags of as many replicas as writeAsks says, at the
// epoch that is still the present one (D2). Where it finds too few, the request ends with the given
// outcome.
func (o *operation) query(outcome kv.Outcome) (findings, error) {
	for {
		err := o.ask(ReadTag, o.writeAsks())
		if err == nil && !o.current() {
			err = replica.ErrEpoch
		}
		if err == nil {
			return o.found(), nil
		}
		if err != replica.ErrEpoch || !o.renew() {
			return findings{}, o.unavailable(outcome, "query for a write", err)
		}
	}
}

// current reports whether the operation's epoch is still this node's (D2).
func (o *operation) current() bool {
	return o.c.cfg.Views.Current() == o.v || rule.Broken(rule.Requery)
}

// mint makes the operation's record one above everything that its query phase saw, best being the
// highest (D3).
func (o *operation) mint(best *version.Record, value []byte) {
	v, me := o.v, o.v.Incarnation()
	o.seen.Reset()
	o.see()
	v.Clock.Observe(best.Tag.Counter)
	o.vector = o.seen.Append(o.vector[:0], me, v.Knows)
	o.record = version.Record{
		Tag:    version.Tag{Generation: v.Generation, Counter: o.next(best), Incarnation: me},
		Vector: o.vector,
		Value:  value,
	}
}

// next returns the new record's counter.
func (o *operation) next(best *version.Record) uint64 {
	if rule.Broken(rule.NodeCounter) {
		return best.Tag.Counter + 1
	}
	return o.v.Clock.Next()
}

// writeStore runs the write phase of a value: to everyone, answered at W.
func (o *operation) writeStore() error {
	return o.write(func() error {
		o.begin(o.w)
		return o.store(everyone, o.w-1)
	})
}

// see joins the vectors of all records that the query phase has found.
func (o *operation) see() {
	o.seen.Add(&o.own)
	o.mu.Lock()
	defer o.mu.Unlock()
	for m := range o.v.Slots {
		if call := o.calls[m]; call != nil && !call.started && call.Status == OK && o.tally.yes.has(m) {
			o.seen.Add(&call.Reply)
		}
	}
}

// write runs the write phase with the operation's record until W replicas of one epoch have taken
// it. When an epoch ends meanwhile the same record is sent again and all acknowledgements are
// collected anew, where that can be told from the first sending (D2).
func (o *operation) write(put func() error) error {
	generation, purge := o.v.Generation, o.v.Purge
	for {
		err := put()
		if err == nil || err == errOvertaken {
			return err
		}
		if err == replica.ErrEpoch && o.renew() && o.resumable(generation, purge) {
			continue
		}
		return o.unavailable(kv.Unknown, "write", err)
	}
}

// resumable reports whether the operation's record may be sent again at the present epoch, after a
// clear generation and a purge sequence at which it may have been stored before (D2).
//
// The record may have been read, overwritten, and the overwriting value removed. As long as that
// tombstone is there, it refuses the record. Once the tombstone is purged, the record would come
// back as if written anew. A purge that removed nothing of the key, or only what lies below the
// record, has removed nothing that would refuse it.
func (o *operation) resumable(generation version.Generation, purge uint64) bool {
	v := o.v
	switch {
	case rule.Broken(rule.Requery):
		return true
	case v.Generation != generation:
		return false
	case v.Purge == purge:
		return true
	case v.Purged == nil:
		return false
	}
	highest, known := v.Purged(purge, o.key)
	return known && highest.Less(o.record.Tag)
}

// store sends the record to all the given members, and waits until the phase that was begun is met.
// The first urgent of them that are likely to answer are sent to at once; the others may wait a
// moment for company, since the answer does not depend on them.
func (o *operation) store(targets memberSet, urgent int) error {
	o.sendAll(Store, targets, urgent)
	if targets.has(o.v.Self) {
		if _, err := o.v.Store.Put(o.v.Epoch, o.hash, o.key, &o.record); err != nil {
			return replica.ErrEpoch
		}
		o.countOwn(true)
	}
	return o.wait(0)
}

// sendAll starts calls to all the targets that are there, rebuilding and joining members included.
// Who misses them gets a hint.
func (o *operation) sendAll(kind Kind, targets memberSet, urgent int) {
	o.mu.Lock()
	o.hintKey = append(o.hintKey[:0], o.key...)
	o.storing = true
	o.mu.Unlock()
	v := o.v
	n := len(v.Members)
	for i := 1; i < n; i++ {
		m := (v.Self + i) % n
		member := &v.Members[m]
		if !targets.has(m) || member.Incarnation == 0 && member.Pending == 0 {
			continue
		}
		now := urgent > 0 && member.Incarnation != 0 && o.c.cfg.Peers.Likely(v, m)
		if now {
			urgent--
		}
		o.start(m, kind, now)
	}
}
