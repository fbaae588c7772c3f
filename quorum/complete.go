package quorum

import (
	"context"
	"sync"
	"time"

	"viakv/api/kv"
	"viakv/api/sleep"
	"viakv/quorum/version/rule"
	"viakv/quorum/watermark"
)

// A record is complete once W replicas have stored it at one epoch, whatever w its request brought.
// Its number is closed then, and so the watermark goes on (package watermark). A request may end
// before that: its outcome is unknown, or it asked for fewer than W replicas. Its calls that are
// still under way may complete the record. Where they do not, the coordinator does it later, by a
// read of the key: this completes the record, or something newer.
//
// The coordinator can read whatever others may have of the record, because its own copy stores a
// record before any other replica is sent it. The own copy loses the record only to a clear or a
// purge.

// take numbers the record that the operation is about to make.
func (o *operation) take() uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.number, o.sent = o.v.Counter.Take(), false
	return o.number.N
}

// drop closes the number of a record that no replica has, and none will have.
func (o *operation) drop() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closeLocked()
}

// closeLocked closes the numbers of the records of the present phase.
func (o *operation) closeLocked() {
	if o.number != nil {
		o.number.Close()
		o.number = nil
	}
	for _, it := range o.round {
		it.drop()
	}
}

// settleLocked closes the numbers of the records of the present phase if that shows that they are
// complete.
func (o *operation) settleLocked() {
	if o.sent && o.phase.yes.len() >= o.enough && o.phase.counting() >= o.enough {
		o.closeLocked()
	}
}

// leave passes the records that are not known to be complete on, at the end of their operation.
func (o *operation) leave() {
	for i := range o.items {
		o.items[i].leave(o.c, o.v.Counter)
	}
	if o.number == nil {
		return
	}
	if !o.sent || rule.Broken(rule.HeldBack) {
		o.drop()
		return
	}
	o.c.unfinished.add(unfinished{place{o.v.Counter, string(o.hintKey)}, o.number})
	o.number = nil
}

// unfinished is a key that has records whose operations have ended, and which are not known to be
// complete.
type unfinished struct {
	at     place
	number *watermark.Open // the lowest of these records
}

// place is a key of one cluster, which this node's counter there stands for.
type place struct {
	counter *watermark.Counter
	key     string
}

// backlog holds what is unfinished of a coordinator. There is one entry for a key, however many of
// its records are open: the lowest number holds the watermark back for all of them, and one read
// completes them all. So the backlog never holds more keys than the own copy does.
type backlog struct {
	mu   sync.Mutex
	keys map[place]unfinished
	wake chan struct{} // holds a token: the backlog is not empty
}

func newBacklog() backlog {
	return backlog{keys: map[place]unfinished{}, wake: make(chan struct{}, 1)}
}

func (b *backlog) add(u unfinished) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if have, ok := b.keys[u.at]; ok {
		if have.number.N < u.number.N {
			have.number, u.number = u.number, have.number
		}
		have.number.Close()
	}
	b.keys[u.at] = u
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// take takes any key out.
func (b *backlog) take() (u unfinished, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for at, u := range b.keys {
		delete(b.keys, at)
		return u, true
	}
	return u, false
}

const (
	completeEvery = 200 * time.Millisecond // the pause after a key that could not be completed
	completeTime  = 500 * time.Millisecond // how long an attempt may take
)

// Complete completes, in the background, the records whose requests have ended before that. It
// returns when ctx ends, at most completeTime later.
func (c *Coordinator) Complete(ctx context.Context) {
	for {
		select {
		case <-c.unfinished.wake:
		case <-ctx.Done():
			return
		}
		for u, ok := c.unfinished.take(); ok && ctx.Err() == nil; u, ok = c.unfinished.take() {
			if !c.complete(&u) { // others would fail for the same cause
				c.unfinished.add(u)
				sleep.For(ctx, completeEvery)
			}
		}
	}
}

// complete makes the unfinished records of a key complete, or something newer, and closes their
// number. It returns false when that has to be tried again.
//
// The read finds something older where a clear has taken the record out of the own copy. Members
// that do not know of the clear may still read it, by a quorum or alone. They cannot once the epoch
// of the clear is sealed.
func (c *Coordinator) complete(u *unfinished) bool {
	op, err := c.begin([]byte(u.at.key), kv.Options{Deadline: time.Now().Add(completeTime)})
	if err != nil {
		return false
	}
	defer op.finish()
	if _, err = op.read(ReadRecord, 0); err != nil || !op.v.ClearSealed() {
		return false
	}
	u.number.Close()
	return true
}

// confirmed reports whether one of the members that hold the highest record of a query phase knows
// it to be complete (L7).
func (o *operation) confirmed(f *findings) bool {
	if f.holders.has(o.v.Self) && o.v.Confirmed(&o.own) {
		return true
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for m := range o.v.Slots {
		if call := o.saidLocked(m); call != nil && call.Confirmed && f.holders.has(m) {
			return true
		}
	}
	return false
}
