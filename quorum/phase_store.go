package quorum

import (
	"viakv/api/kv"
	"viakv/quorum/replica"
	"viakv/quorum/version"
	"viakv/quorum/version/rule"
)

// The write phase sends a record to all members. It is answered once W of them have the record at
// one epoch.

// writeStore runs the write phase of a value: it sends to every member and is answered at W.
func (o *operation) writeStore() error {
	return o.write(func() error {
		o.begin(o.w)
		return o.store(everyone, o.w-1)
	})
}

// write runs the write phase with the operation's record until W replicas have taken it at one
// epoch. When the epoch ends meanwhile, it sends the same record again and counts all
// acknowledgements anew. It does so only where that is as safe as the first sending (D2).
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

// resumable reports whether the operation's record may be sent again at the present epoch (D2).
// generation and purge are the clear generation and the purge sequence at which a replica may have
// stored it before.
//
// The record may have been read and overwritten, and the overwriting value removed. As long as that
// tombstone is there, it refuses the record. Once the tombstone is purged, the record would come
// back as if written anew. A purge is harmless if it removed no tombstone of the key, or only
// tombstones below the record: these would not refuse it.
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
// It sends at once to the first members that are likely to answer, as many as urgent says. For the
// others it may wait a moment, to send together with other requests, since the answer does not
// depend on them.
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

// sendAll starts calls to all targets that have a process, including those that are rebuilding or
// joining. A member that misses its call gets a hint.
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
