package quorum

import (
	"context"
	"strings"
	"time"

	"viakv/api/kv"
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

// set runs the phases of a write: one round where that is enough, and otherwise two.
func (o *operation) set(value []byte) error {
	if err := o.refuseIfFull(); err != nil {
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

// mint makes the operation's record, with a tag above everything that its query phase saw. best is
// the highest record of these (D3).
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

// see adds the vectors of all records that the query phase has found.
func (o *operation) see() {
	o.seen.Add(&o.own)
	o.mu.Lock()
	defer o.mu.Unlock()
	for m := range o.v.Slots {
		if call := o.calls[m]; call != nil && !call.started && call.Status == OK && o.phase.said(m) {
			o.seen.Add(&call.Reply)
		}
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
