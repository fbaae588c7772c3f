package quorum

// The query phase asks this node's own replica and as many peers as the answer needs.

import (
	"viakv/api/kv"
	"viakv/quorum/replica"
	"viakv/quorum/version"
	"viakv/quorum/version/rule"
)

// ask runs a query phase. It asks this node's own replica, and then as many peers as are missing to
// need. It takes the peers by name, from this node on. A coordinator that always asks the same
// neighbour first fills the batches of one connection, instead of halving them over two.
func (o *operation) ask(kind Kind, need int) error {
	o.begin(need)
	if err := o.readOwn(kind); err != nil {
		return replica.ErrEpoch
	}
	o.countOwn(true)
	more := need - 1
	if more == 0 {
		return o.wait(0)
	}
	if more -= o.askMore(kind, more, true); more > 0 {
		o.askMore(kind, more, false)
	}
	return o.wait(kind)
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

func (o *operation) readOwn(kind Kind) (err error) {
	v := o.v
	if kind == ReadRecord {
		o.own, o.ownBuffer, err = v.Store.Get(v.Epoch, o.hash, o.key, o.ownBuffer[:0])
	} else {
		o.own, o.ownBuffer, err = v.Store.Tag(v.Epoch, o.hash, o.key, o.ownBuffer[:0])
	}
	return err
}

// query runs the query phase of a write. It asks as many replicas as writeAsks says for their tags,
// and repeats that until the epoch is still the present one afterwards (D2). When it finds too few
// replicas, the request ends with the given outcome.
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
		call := o.calls[m]
		if call == nil || call.started || !o.phase.said(m) {
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

// weak reports whether a read asks for less than the promise. It does when its r does not overlap
// with the larger of its w and the mesh's W.
func (o *operation) weak() bool { return !o.strict && o.r+max(o.w, o.v.W) <= o.v.Slots }

// firm returns how many replicas must hold a record before a read answers with it. When fewer do,
// the read writes the record back first (D4). The number is the mesh's W, even where this request's
// r would need fewer: later reads have an r of their own, and a rebuild, a join or a leave carries
// over what W replicas hold.
func (o *operation) firm() int {
	switch {
	case o.weak() || rule.Broken(rule.WriteBack):
		return 1
	case rule.Broken(rule.Firm):
		return min(o.w, o.v.Slots-o.r+1)
	}
	return o.v.W
}

// readAsks returns how many replicas a read asks: enough to meet every write, and as many as must
// hold the answer. The latter saves the read from writing it back.
func (o *operation) readAsks() int {
	if o.weak() {
		return o.r
	}
	return max(o.r, o.firm(), o.v.Slots-o.v.W+1)
}

// writeAsks returns how many replicas the query phase of a write asks, whatever r says. With fewer
// than the mesh's R, or fewer than N-W+1, it could miss an acknowledged write and mint a tag below
// it (D4). It asks at least as many as are to store the record. So a write for which too few answer
// ends before anything is sent.
func (o *operation) writeAsks() int {
	v := o.v
	if rule.Broken(rule.WriteQuery) {
		return o.r
	}
	return max(o.r, o.w, v.R, v.Slots-v.W+1)
}
