package quorum

import (
	"context"
	"time"

	"viakv/api/health"
	"viakv/api/kv"
	"viakv/quorum/replica"
	"viakv/quorum/version"
	"viakv/quorum/version/rule"
)

// Get appends the key's value to dst.
func (c *Coordinator) Get(_ context.Context, dst, key []byte, opt kv.Options) ([]byte, version.Tag, error) {
	rec, grown, ok, mine := c.alone(ReadRecord, dst, key, &opt)
	if ok {
		if !rec.Live() {
			return dst, rec.Tag, kv.ErrMissing
		}
		return append(grown[:len(dst)], rec.Value...), rec.Tag, nil
	}
	if mine != nil {
		defer c.turns.end(key, mine)
	}
	op, err := c.begin(key, opt)
	if err != nil {
		return dst, version.Tag{}, err
	}
	defer op.finish()
	c.stats.asked.Add(1)
	best, err := op.read(ReadRecord, 0)
	if err != nil {
		return dst, version.Tag{}, err
	}
	if !best.Live() {
		return dst, best.Tag, kv.ErrMissing
	}
	return append(dst, best.Value...), best.Tag, nil
}

// Has reports the version of the key's value.
func (c *Coordinator) Has(_ context.Context, key []byte, opt kv.Options) (version.Tag, error) {
	buffer := c.buffers.Get().(*[]byte)
	defer c.buffers.Put(buffer)
	rec, grown, ok, mine := c.alone(ReadTag, (*buffer)[:0], key, &opt)
	if *buffer = grown; ok {
		if !rec.Live() {
			return rec.Tag, kv.ErrMissing
		}
		return rec.Tag, nil
	}
	if mine != nil {
		defer c.turns.end(key, mine)
	}
	op, err := c.begin(key, opt)
	if err != nil {
		return version.Tag{}, err
	}
	defer op.finish()
	c.stats.asked.Add(1)
	best, err := op.read(ReadTag, 0)
	if err != nil {
		return version.Tag{}, err
	}
	if !best.Live() {
		return best.Tag, kv.ErrMissing
	}
	return best.Tag, nil
}

const (
	// maxTurns is how many other reads of its key a read waits for before it asks the replicas.
	maxTurns = 2
	// maxEpochs is at how many epochs a read tries to answer from the own copy.
	maxEpochs = 3
)

// alone looks the key up in this node's own copy, if that answers for all (L3). It returns the
// record, which borrows the extended dst, and false when the replicas must be asked. Where it
// returns a turn, too, the caller ends that when it has asked them.
func (c *Coordinator) alone(kind Kind, dst, key []byte, opt *kv.Options) (rec version.Record, grown []byte, ok bool, mine turn) {
	for range maxEpochs {
		v := c.holder(opt)
		if v == nil && c.awaitLeases(opt) {
			v = c.holder(opt)
		}
		if v == nil {
			break
		}
		var err error
		if rec, grown, ok, mine, err = c.look(v, kind, dst, key, opt.Deadline); err == nil {
			return rec, grown, ok, mine
		}
	}
	return rec, dst, false, nil
}

// look looks the key up in the own copy, which answers for all at a view. It returns an error when
// the copy has gone on to another epoch.
//
// A record that is not confirmed is asked for by one read at a time. The others wait, and look
// again: what was complete when they came is still in the copy.
func (c *Coordinator) look(v *replica.View, kind Kind, dst, key []byte, deadline time.Time) (rec version.Record, grown []byte, ok bool, mine turn, err error) {
	hash := v.Seed.Hash(key)
	for turns := 0; ; turns++ {
		if kind == ReadRecord {
			rec, grown, err = v.Store.Get(v.Epoch, hash, key, dst)
		} else {
			rec, grown, err = v.Store.Tag(v.Epoch, hash, key, dst)
		}
		switch {
		case err != nil:
			return rec, dst, false, nil, err
		case v.Confirmed(&rec):
			c.stats.local.Add(1)
			return rec, grown, true, nil, nil
		case turns == maxTurns, rec.Number() == version.Contested: // that is never confirmed
			return rec, dst, false, nil, nil
		}
		dst = grown[:len(dst)]
		other, own := c.turns.take(key)
		if own != nil || !other.await(c.cfg.HedgeAfter, deadline) {
			return rec, dst, false, own, nil
		}
	}
}

// holder returns the present view if this node's own copy answers reads for all, as far as is
// looked up afterwards.
func (c *Coordinator) holder(opt *kv.Options) *replica.View {
	v := c.cfg.Views.Current()
	if v == nil || !v.Leases || opt.R != kv.QuorumDefault || v.Incarnation() == 0 {
		return nil
	}
	v.Held.Use()
	if !v.Alone() {
		return nil
	}
	return v
}

// leasesTake is how long a request waits for leases, in terms, where it cannot do without.
const leasesTake = 2

// awaitLeases waits until this node answers alone, where too few members can be expected to answer
// a quorum, and enough to give leases: R may be less than W. The node gives its leases back when it
// is asked for nothing, so the first read after that would be refused. It reports whether the node
// answers alone.
func (c *Coordinator) awaitLeases(opt *kv.Options) bool {
	v := c.cfg.Views.Current()
	if v == nil || !v.Leases || opt.R != kv.QuorumDefault || v.Incarnation() == 0 || v.R >= v.W || v.Alone() {
		return false
	}
	likely := 1
	for m := range v.Slots {
		if m != v.Self && v.Members[m].Active() && c.cfg.Peers.Likely(v, m) {
			likely++
		}
	}
	alone, _ := health.Needs(v.Slots, v.R, v.W, true)
	quorum, _ := health.Needs(v.Slots, v.R, v.W, false)
	if likely < alone || likely >= quorum {
		return false
	}
	return c.awaitAlone(v, opt.Deadline)
}

// awaitAlone waits until this node answers alone at a view, for leasesTake terms at most.
func (c *Coordinator) awaitAlone(v *replica.View, deadline time.Time) bool {
	until := time.Now().Add(leasesTake * v.Term)
	if !deadline.IsZero() && deadline.Before(until) {
		until = deadline
	}
	for v == c.cfg.Views.Current() && time.Now().Before(until) {
		time.Sleep(sessionPoll)
		if v.Alone() {
			return true
		}
	}
	return false
}

// alone reports whether the operation may rest on this node's own copy, in what it looks up
// afterwards.
func (o *operation) alone() bool {
	if !o.v.Leases || o.asked.R != kv.QuorumDefault {
		return false
	}
	o.v.Held.Use()
	return o.v.Alone()
}

// read finds the key's present record, and makes sure that no later read finds an older one. It
// asks at least as many replicas as least says. The record borrows the operation's buffers until
// the next phase.
func (o *operation) read(kind Kind, least int) (*version.Record, error) {
	for {
		err := o.ask(kind, max(o.readAsks(), least))
		if err == nil {
			f := o.found()
			if o.covered(&f) {
				if !o.weak() {
					o.saw(f.best)
				}
				return f.best, nil
			}
			if o.confirmed(&f) {
				o.saw(f.best) // for others that wait for this read
				if kind == ReadRecord && !f.best.Tag.IsZero() {
					return o.heal(f), nil
				}
				return f.best, nil
			}
			if f.best.Tag.IsZero() { // there is nothing to repair with
				if f, err = o.askNamed(kind); err == nil && o.covered(&f) {
					return f.best, nil
				}
			}
			if err == nil && kind == ReadTag { // repair needs the value
				kind = ReadRecord
				continue
			}
			if err == nil {
				err = o.repair(f)
			}
			if err == nil {
				return &o.record, nil
			}
		}
		if err == replica.ErrEpoch && o.renew() {
			continue
		}
		return nil, o.unavailable(kv.None, "read", err)
	}
}

// saw remembers that a record is complete, where this node does not know it otherwise.
func (o *operation) saw(rec *version.Record) {
	if !rec.Tag.IsZero() && !o.v.Confirmed(rec) {
		o.v.Marks.Saw(rec.Number())
	}
}

// heal sends a record that is known to be complete to the members that were found not to hold it,
// and waits for none of them. It returns a copy of the record.
func (o *operation) heal(f findings) *version.Record {
	o.c.stats.repaired.Add(1)
	o.record = f.best.Clone() // the next phase reuses the buffer that best lies in
	o.mu.Lock()
	lack := o.phase.yes &^ f.holders
	o.mu.Unlock()
	_ = o.send(o.firm(), ^lack, 0)
	return &o.record
}

// repair stores the record that a query phase found, so that W replicas hold it before the read
// answers. The replicas that were found to hold it already count.
func (o *operation) repair(f findings) error {
	o.c.stats.repaired.Add(1)
	o.record = f.best.Clone() // the next phase reuses the buffer that best lies in
	need := o.firm()
	if err := o.store(need, f.holders, need-f.holders.len()); err != nil {
		return err
	}
	o.v.Marks.Saw(o.record.Number())
	return nil
}

// weak reports whether a read asks for less than the promise. It does when its r does not overlap
// with the larger of its w and the mesh's W.
func (o *operation) weak() bool { return !o.strict && o.r+max(o.w, o.v.W) <= o.v.Slots }

// firm returns how many replicas must hold a record before a read answers with it. When fewer do,
// and nobody knows the record to be complete, the read writes it back first (D4). The number is the
// mesh's W, even where this request's r would need fewer: later reads have an r of their own, and a
// rebuild, a join or a leave carries over what W replicas hold.
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
