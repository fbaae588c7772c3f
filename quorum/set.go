package quorum

import (
	"context"
	"strings"
	"time"

	"viakv/api/kv"
	"viakv/quorum/replica"
	"viakv/quorum/version"
	"viakv/quorum/version/rule"
)

// Set stores a value.
func (c *Coordinator) Set(ctx context.Context, key, value []byte, opt kv.Options) (version.Tag, error) {
	c.stats.writes.Add(1)
	if opt.Deadline.IsZero() {
		opt.Deadline = time.Now().Add(c.cfg.Timeout)
	}
	tag, err := c.byLease(key, value, opt)
	if err == errAsk {
		tag, err = c.setAsking(key, value, opt)
	}
	if err != nil && rule.Broken(rule.OneTag) {
		opt.Deadline = time.Now().Add(c.cfg.Timeout)
		return c.Set(ctx, key, value, opt)
	}
	return tag, err
}

// setAsking stores a value with a tag above those that the replicas are asked for.
func (c *Coordinator) setAsking(key, value []byte, opt kv.Options) (version.Tag, error) {
	op, err := c.begin(key, opt)
	if err != nil {
		return version.Tag{}, err
	}
	defer op.finish()
	if err := op.refuseIfFull(); err != nil {
		return version.Tag{}, err
	}
	f, err := op.query(kv.None)
	if err != nil {
		return version.Tag{}, err
	}
	if err := op.refuse(f.full); err != nil {
		return version.Tag{}, err
	}
	op.mint(f.best, value)
	return op.record.Tag, op.write(Store)
}

// likelyEnough reports whether as many members can be expected to answer as a write needs. Where
// they cannot, a query shows it before anything is sent, and the outcome is known.
func (o *operation) likelyEnough(need int) bool {
	n := 1
	for m := range o.v.Slots {
		if m != o.v.Self && o.v.Members[m].Active() && o.c.cfg.Peers.Likely(o.v, m) {
			n++
		}
	}
	return n >= max(need, o.v.R)
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

// mint makes the operation's record, with a tag above everything that its query phase saw. best is
// the highest record of these (D3).
func (o *operation) mint(best *version.Record, value []byte) {
	v := o.v
	o.seen.Reset()
	o.seen.Add(&o.own)
	o.mu.Lock()
	for m := range v.Slots {
		if call := o.saidLocked(m); call != nil && call.Status == OK {
			o.seen.Add(&call.Reply)
		}
	}
	o.mu.Unlock()
	v.Counter.Observe(best.Tag.Counter)
	counter := best.Tag.Counter + 1
	if !rule.Broken(rule.NodeCounter) {
		counter = o.take()
	}
	o.record = o.newRecord(o.vector[:0], counter, value)
	o.vector = o.record.Vector
}

// newRecord returns this node's record of a number, which has seen what seen says. Its vector is
// appended to a buffer.
func (o *operation) newRecord(vector []byte, counter uint64, value []byte) version.Record {
	me := o.v.Incarnation()
	return version.Record{
		Tag:    version.Tag{Generation: o.v.Generation, Counter: counter, Incarnation: me},
		Vector: o.seen.Append(vector, me, o.v.Knows),
		Value:  value,
	}
}

// write runs the write phase with the operation's record until W replicas have taken it at one
// epoch: they store it, or vote for it. When the epoch ends meanwhile, it sends the same record
// again and counts all acknowledgements anew. It does so only where that is as safe as the first
// sending (D2).
func (o *operation) write(kind Kind) error {
	defer o.countWaits()
	purge := o.v.Purge
	asked := false // other replicas for their votes
	for {
		var err error
		if kind == Vote {
			err = o.poll(&asked)
		} else {
			err = o.store(o.w, nobody, o.w-1)
		}
		if err == nil || err == errOvertaken {
			return err
		}
		if err == replica.ErrEpoch && o.renew() {
			if o.unasked && !o.sent { // nobody knows of the record
				return errOvertaken
			}
			if o.resumable(o.key, o.record.Tag, purge) {
				continue
			}
		}
		if kind == Vote && err == kv.ErrTooFewReplicas && o.outvoted() {
			return o.contended()
		}
		if !o.sent { // nobody knows of the record
			return o.unavailable(kv.None, "write", err)
		}
		return o.unavailable(kv.Unknown, "write", err)
	}
}

// resumable reports whether a record may be sent again at the present epoch (D2). purge is the
// purge sequence at which a replica may have stored it first.
//
// The record may have been read and overwritten, and the overwriting value removed. As long as that
// tombstone is there, it refuses the record. Once the tombstone is purged, the record would come
// back as if written anew. A purge is harmless if it removed no tombstone of the key, or only
// tombstones below the record: these would not refuse it.
func (o *operation) resumable(key []byte, tag version.Tag, purge uint64) bool {
	v := o.v
	switch {
	case rule.Broken(rule.Requery):
		return true
	case v.Generation != tag.Generation:
		return false
	case v.Purge == purge:
		return true
	case v.Purged == nil:
		return false
	}
	highest, known := v.Purged(purge, key)
	return known && highest.Less(tag)
}

// store runs a write phase of a record: it sends the record, and waits until need replicas have it.
func (o *operation) store(need int, holders memberSet, urgent int) error {
	if err := o.send(need, holders, urgent); err != nil {
		return err
	}
	return o.wait(0)
}

// send begins a write phase of a record that need replicas are to have: it stores the record here,
// and sends it to all members. The holders have it already, and get no call. It sends at once to
// the first members that are likely to answer, as many as urgent says. For the others it may wait a
// moment, to send together with other requests, since the answer does not depend on them.
func (o *operation) send(need int, holders memberSet, urgent int) error {
	firm := need >= min(o.v.W, o.v.Slots-o.v.R+1) // each later read must find the record
	o.beginPhase(need, holders, firm)
	if !holders.has(o.v.Self) { // first of all, so that this node can complete what it has sent (L6)
		if rule.Broken(rule.NamesAfter) {
			o.countOwn(true)
		}
		if _, err := o.v.Store.Put(o.v.Epoch, o.hash, o.key, &o.record); err != nil {
			return replica.ErrEpoch
		}
		if !rule.Broken(rule.NamesAfter) {
			o.countOwn(true)
		}
	}
	o.sendAll(Store, holders, urgent)
	return nil
}

// sendAll starts a call to each other member that has a process, except to the holders. Members
// that are rebuilding or joining get one, too. A member that misses its call gets a hint. The own
// copy holds the records, or something newer, by then.
func (o *operation) sendAll(kind Kind, holders memberSet, urgent int) {
	o.mu.Lock()
	o.hintKey = append(o.hintKey[:0], o.key...)
	o.storing, o.sent, o.enough = true, true, o.v.W
	if kind == Vote {
		o.enough = max(o.v.W, o.v.Slots/2+1)
	}
	o.settleLocked()                // where this node is enough
	if len(o.names[o.v.Self]) > 0 { // the answer depends on the holders, who are likely to be all
		urgent = MaxMembers
	}
	o.mu.Unlock()
	v := o.v
	n := len(v.Members)
	for i := 1; i < n; i++ {
		m := (v.Self + i) % n
		member := &v.Members[m]
		if holders.has(m) || member.Incarnation == 0 && member.Pending == 0 {
			continue
		}
		now := urgent > 0 && member.Incarnation != 0 && o.c.cfg.Peers.Likely(v, m)
		if now {
			urgent--
		}
		o.start(m, kind, now)
	}
}

// refuseIfFull refuses a new value while any member may hold no more. Each member stores every
// value. So the answer must depend neither on the node that is asked nor on the replicas that a
// query happens to meet. What members have said of themselves is up to half a second old.
func (o *operation) refuseIfFull() error {
	var full memberSet
	if o.v.Store.Full() {
		full.add(o.v.Self)
	}
	if reached := o.c.cfg.Full; reached != nil {
		for m := range o.v.Members {
			if m != o.v.Self && reached(o.v, m) {
				full.add(m)
			}
		}
	}
	return o.refuse(full)
}

// refuse returns the error for a new value, which names the members that are at their limit. It is
// nil when full is empty.
func (o *operation) refuse(full memberSet) error {
	var names []string
	for m := range o.v.Members {
		if full.has(m) {
			names = append(names, o.v.Members[m].Name)
		}
	}
	switch n := len(names); n {
	case 0:
		return nil
	case 1:
		return kv.Detail(kv.ErrMemoryLimit, "%s holds as much as it may", names[0])
	default:
		return kv.Detail(kv.ErrMemoryLimit, "%s and %s hold as much as they may", strings.Join(names[:n-1], ", "), names[n-1])
	}
}

// Import writes a value that was set in another cluster, before its node joined this one. Neither
// side knew of the other's writes, so the import is concurrent with every version of the key here.
// As between any two concurrent writes, the higher tag stays. The imported record keeps the counter
// that its value had, and carries no vector. Import reports whether the imported value stays.
//
// An import may be repeated after an unknown outcome: the same counter at the same incarnation is
// the same record (Q5). Before the caller's counter mints new tags, it must be past all counters
// that the caller imports.
func (c *Coordinator) Import(_ context.Context, key, value []byte, counter uint64, opt kv.Options) (bool, error) {
	op, err := c.begin(key, opt)
	if err != nil {
		return false, err
	}
	defer op.finish()
	f, err := op.query(kv.None)
	if err != nil {
		return false, err
	}
	tag := version.Tag{Generation: op.v.Generation, Counter: counter, Incarnation: op.v.Incarnation()}
	if f.best.Tag.Counter != 0 && f.best.Tag != tag {
		c.stats.conflicts.Add(1)
	}
	if tag.Less(f.best.Tag) {
		// An earlier attempt may have left the record somewhere. So what overrules it must be
		// complete before the import is over (L6).
		best, err := op.read(ReadRecord, 0)
		if err == nil && best.Tag.Less(tag) {
			err = op.unavailable(kv.Unknown, "import", replica.ErrEpoch)
		}
		return false, err
	}
	op.record = version.Record{Tag: tag, Value: value}
	return true, op.write(Store)
}
