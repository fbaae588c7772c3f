package quorum

import (
	"viakv/quorum/replica"
	"viakv/quorum/version"
)

// ask runs a query phase. It asks this node's own replica, and then as many peers as are missing to
// need. It takes the peers by name, from this node on. A coordinator that always asks the same
// neighbour first fills the batches of one connection, instead of halving them over two.
func (o *operation) ask(kind Kind, need int) error {
	if o.askOwn(kind, need) != nil {
		return replica.ErrEpoch
	}
	// Members that are unlikely to answer are asked only where the others are too few.
	asked := o.askMore(kind, need-1, true)
	if asked < need-1 {
		o.askMore(kind, need-1-asked, false)
	}
	return o.wait(kind)
}

// askNamed goes on with a query phase in which no replica has a record: it asks all replicas, and
// waits until those that the others have named have answered, too. One of them may be at an epoch
// before a clear, and answer from its own copy what the others have cleared.
func (o *operation) askNamed(kind Kind) (findings, error) {
	o.askMore(kind, MaxMembers, false)
	o.mu.Lock()
	o.phase.naming = true
	o.mu.Unlock()
	if err := o.wait(kind); err != nil {
		return findings{}, err
	}
	return o.found(), nil
}

// askOwn begins a query phase and asks this node's own replica.
func (o *operation) askOwn(kind Kind, need int) (err error) {
	o.beginPhase(need, nobody, false)
	v := o.v
	if kind == ReadRecord {
		o.own, o.ownBuffer, err = v.Store.Get(v.Epoch, o.hash, o.key, o.ownBuffer[:0])
	} else {
		o.own, o.ownBuffer, err = v.Store.Tag(v.Epoch, o.hash, o.key, o.ownBuffer[:0])
	}
	if err == nil {
		o.countOwn(true)
	}
	return err
}

// askMore starts calls to up to n voters that were not yet asked in this phase. With likely, it
// skips members that are unlikely to answer. It returns how many calls it has started.
func (o *operation) askMore(kind Kind, n int, likely bool) (started int) {
	v := o.v
	for i := 1; i < v.Slots && started < n; i++ {
		m := v.Self + i
		if m >= v.Slots {
			m -= v.Slots
		}
		// A rebuilding member has no vote. But it may know that it has been activated since. Then
		// its answer tells of the next epoch.
		member := &v.Members[m]
		if member.Incarnation == 0 && (likely || member.Pending == 0) || o.called(m) || likely && !o.c.cfg.Peers.Likely(v, m) {
			continue
		}
		o.start(m, kind, true)
		started++
	}
	return started
}

// called reports whether the present phase has a call to the member.
func (o *operation) called(m int) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.calls[m] != nil
}

// findings is the result of a query phase.
type findings struct {
	best    *version.Record // the highest record; borrows the operation's buffers until its next phase
	holders memberSet       // the members that hold best
	full    memberSet       // the members whose replica has answered that it may hold no more
}

// add takes a member's record into account. It reports whether the record conflicts with the
// highest so far: neither writer knew the other's.
func (f *findings) add(m int, r *version.Record) (conflict bool) {
	c := r.Tag.Compare(f.best.Tag)
	if c == 0 {
		f.holders.add(m)
		return false
	}
	conflict = version.Conflict(f.best, r)
	if c > 0 {
		f.best, f.holders = r, only(m)
	}
	return conflict
}

// found evaluates a query phase that was met.
func (o *operation) found() findings {
	o.mu.Lock()
	defer o.mu.Unlock()
	f := findings{best: &o.own, holders: only(o.v.Self)}
	if o.v.Store.Full() {
		f.full.add(o.v.Self)
	}
	for m := range o.v.Slots {
		call := o.saidLocked(m)
		if call == nil {
			continue
		}
		if call.Full {
			f.full.add(m)
		}
		reply := &call.Reply
		if call.Status == Same {
			reply = &o.own
		}
		if f.add(m, reply) {
			o.c.stats.conflicts.Add(1)
		}
	}
	return f
}

// saidLocked returns a member's call that has ended in the present phase, and was no refusal. It is
// nil when there is none. In a query phase only calls that have ended, and this node, count as yes.
func (o *operation) saidLocked(m int) *Call {
	if o.phase.yes.has(m) {
		return o.calls[m]
	}
	return nil
}
