package quorum

import (
	"errors"
	"time"

	"viakv/api/kv"
	"viakv/quorum/replica"
	"viakv/quorum/version"
	"viakv/quorum/version/rule"
	"viakv/quorum/watermark"
	"viakv/ring/keyspace"
)

// A node whose own copy holds all that is complete writes without asking anybody before (L14). So
// many values can share the messages of one phase. Each is a write of its own: with a tag of its
// own, vouched for by itself, and with an outcome that need not be that of the others.

// item is one value of such an operation.
type item struct {
	set    *setter // nil: it has its outcome
	hash   keyspace.Hash
	record version.Record // borrows vector, and the request's value
	vector []byte
	key    []byte          // a copy, for what outlives the request
	number *watermark.Open // the record's, while it is open; nil: none is
	purge  uint64          // the purge sequence at which the record was made
	stored bool            // the own copy holds the record, or something newer, and others may hold it
	// doubted are the members that have answered in the present phase and do not vouch for the
	// record.
	doubted memberSet
}

// errAsk is the outcome of a write whose node does not answer alone: nothing was done, and the
// replicas have to be asked first.
var errAsk = errors.New("quorum: the replicas have to be asked first")

// writeItems runs the operation until its first item has its outcome, or to its end. For the others
// it goes on in a goroutine of its own then: they must not hold up the request of the first.
func (o *operation) writeItems() {
	err := o.refuseIfFull()
	if err == nil && time.Until(o.deadline) <= 0 {
		err = o.unavailable(kv.None, "write", errDeadline)
	}
	if err != nil {
		for i := range o.items {
			o.items[i].end(err)
		}
	} else if o.readyItems() {
		o.goOn(o.sendItems())
		return
	}
	o.finish()
}

// goOn goes on once a phase was begun. err says why that has failed, if it has.
func (o *operation) goOn(err error) {
	for {
		if err == nil {
			err = o.wait(0)
		}
		if err == nil && !o.answer() {
			break
		}
		if err != nil {
			if err != replica.ErrEpoch || !o.renew() {
				o.giveUp(err)
				break
			}
			if !o.readyItems() {
				break
			}
			err = o.sendItems()
		}
		if err == nil && o.items[0].set == nil && !o.detached {
			o.detached = true
			go o.goOn(nil)
			return
		}
	}
	o.countWaits()
	o.finish()
}

// readyItems readies the items that have no outcome for a phase at the operation's view. Those of
// which nobody knows are made anew, if the node answers alone. The others may only be sent again
// where that is as safe as the first sending (D2). It reports whether any are left.
func (o *operation) readyItems() bool {
	alone := o.alone() && o.likelyEnough(o.w)
	o.round = o.round[:0]
	for i := range o.items {
		it := &o.items[i]
		switch {
		case it.set == nil:
		case !it.stored && !alone:
			it.end(errAsk)
		case it.stored && !o.resumable(it.key, it.record.Tag, it.purge):
			it.end(o.unavailable(kv.Unknown, "write", replica.ErrEpoch))
		default:
			o.round = append(o.round, it)
		}
	}
	return len(o.round) > 0
}

// sendItems begins a write phase of the items of the round: it stores them here, and sends them to
// all members.
//
// The order matters. This node's leases are looked at before its copy is: what was complete when a
// session began to count is in the copy.
func (o *operation) sendItems() error {
	firm := o.w >= min(o.v.W, o.v.Slots-o.v.R+1) // each later read must find the records
	o.beginPhase(o.w, nobody, firm)
	o.relied = o.v.Held.Sessions(o.v.Epoch)
	urgent := o.w - 1
	if firm && !rule.Broken(rule.Vouch) {
		o.phase.vouchers = o.v.R // no call is under way yet
		if rule.Broken(rule.EnoughVouch) {
			o.phase.vouchers--
		}
		urgent = max(urgent, o.phase.vouchers-1)
	}
	if rule.Broken(rule.NamesAfter) {
		o.countOwn(true)
	}
	o.entries, o.heard = o.entries[:0], only(o.v.Self)
	for i, it := range o.round {
		if i%replica.MaxWarm == 0 {
			o.warm(o.round[i:min(i+replica.MaxWarm, len(o.round))])
		}
		it.doubted = nobody
		top, err := o.storeItem(it)
		if err != nil {
			return replica.ErrEpoch
		}
		if !top {
			it.doubted.add(o.v.Self)
		}
		o.entries = append(o.entries, Entry{it.set.key, &it.record})
	}
	o.mu.Lock()
	o.judgeLocked()
	o.mu.Unlock()
	if !rule.Broken(rule.NamesAfter) {
		o.countOwn(true)
	}
	o.sendAll(Store, nobody, urgent)
	return nil
}

// warm hashes the keys of some items, and prepares the own copy for them.
func (o *operation) warm(items []*item) {
	o.hashes = o.hashes[:0]
	for _, it := range items {
		it.hash = o.v.Seed.Hash(it.set.key)
		o.hashes = append(o.hashes, it.hash)
	}
	if len(items) > 1 {
		o.v.Store.Warm(o.v.Epoch, o.hashes)
	}
}

// storeItem makes an item's record, if there is none yet, and stores it in the own copy. top
// reports whether the copy holds nothing above the record's tag then.
func (o *operation) storeItem(it *item) (top bool, err error) {
	v, key := o.v, it.set.key
	if it.stored { // at an earlier epoch
		top, err = v.Store.Put(v.Epoch, it.hash, key, &it.record)
		if top || err != nil {
			return top, err
		}
		err = o.ownTag(it)
		return o.own.Tag == it.record.Tag || rule.Broken(rule.JudgedAgain), err
	}
	it.key = append(it.key[:0], key...)
	for !it.stored {
		if err = o.ownTag(it); err != nil {
			return false, err
		}
		o.mintItem(it)
		// Where something newer has come meanwhile, nobody knows of the record.
		if it.stored, err = v.Store.Put(v.Epoch, it.hash, key, &it.record); err != nil {
			return false, err
		}
	}
	return true, nil
}

// ownTag looks up what the own copy holds of an item's key.
func (o *operation) ownTag(it *item) (err error) {
	o.own, o.ownBuffer, err = o.v.Store.Tag(o.v.Epoch, it.hash, it.set.key, o.ownBuffer[:0])
	return err
}

// mintItem makes an item's record, with a tag above what the own copy holds. The record of an
// earlier attempt is nowhere.
func (o *operation) mintItem(it *item) {
	it.drop()
	o.v.Counter.Observe(o.own.Tag.Counter)
	counter := o.own.Tag.Counter + 1
	if !rule.Broken(rule.NodeCounter) {
		it.number = o.v.Counter.Take()
		counter = it.number.N
	}
	o.seen.Reset()
	o.seen.Add(&o.own)
	it.record = o.newRecord(it.vector[:0], counter, it.set.value)
	it.vector, it.purge = it.record.Vector, o.v.Purge
}

// drop closes the number of the item's record, if it is open.
func (it *item) drop() {
	if it.number != nil {
		it.number.Close()
		it.number = nil
	}
}

// doubtLocked notes that a member has answered, and for which records of the round it does not
// vouch.
func (o *operation) doubtLocked(m int, records []int) {
	o.heard.add(m)
	for _, i := range records {
		o.round[i].doubted.add(m)
	}
	o.judgeLocked()
}

// judgeLocked makes the phase stand for that record of the round which is vouched for best, of
// those that have no outcome.
func (o *operation) judgeLocked() {
	var best *item
	for _, it := range o.round {
		if it.set != nil && (best == nil || o.doubtsLocked(it) < o.doubtsLocked(best)) {
			best = it
		}
	}
	if best == nil {
		return
	}
	o.phase.vouched, o.phase.doubted = nobody, nobody
	for m := range o.v.Slots {
		if o.heard.has(m) {
			o.phase.vouch(m, !best.doubted.has(m))
		}
	}
}

// doubtsLocked returns how many of the members that count do not vouch for an item's record. Where
// this node is one of them, nobody else's word helps.
func (o *operation) doubtsLocked(it *item) int {
	if it.doubted.has(o.v.Self) {
		return MaxMembers + 1
	}
	return (it.doubted & o.phase.voters).len()
}

// answer gives the records their outcome that are vouched for, once the phase is met. It reports
// whether others are left, for which the phase goes on.
func (o *operation) answer() (left bool) {
	o.mu.Lock()
	for _, it := range o.round {
		switch {
		case it.set == nil:
		case !o.vouchedForLocked(it):
			left = true
		default:
			o.ended = append(o.ended, it.set)
			it.set.tag, it.set.err = it.record.Tag, nil
			it.letGo()
		}
	}
	if left {
		o.judgeLocked()
	}
	o.mu.Unlock()
	o.c.stats.oneRound.Add(uint64(len(o.ended)))
	for i, s := range o.ended {
		o.ended[i] = nil
		s.done <- struct{}{}
	}
	o.ended = o.ended[:0]
	return left
}

// vouchedForLocked reports whether enough members vouch for an item's record.
func (o *operation) vouchedForLocked(it *item) bool {
	p := &o.phase
	return !it.doubted.has(o.v.Self) && (o.heard&p.voters&^it.doubted).len() >= p.vouchers
}

// giveUp ends all items that have no outcome.
func (o *operation) giveUp(cause error) {
	for i := range o.items {
		it := &o.items[i]
		if it.set == nil {
			continue
		}
		outcome := kv.None
		if it.stored {
			outcome = kv.Unknown
		}
		err := o.unavailable(outcome, "write", cause)
		o.mu.Lock()
		it.end(err)
		o.mu.Unlock()
	}
}

// end gives the item its outcome.
func (it *item) end(err error) {
	if !it.stored {
		it.drop()
	}
	s := it.set
	it.letGo()
	s.end(it.record.Tag, err)
}

// letGo forgets what belongs to the item's request.
func (it *item) letGo() { it.set, it.record.Value = nil, nil }

// missAnsweredLocked notes hints for the members that have not answered yet, of the records that
// have their outcome: these are not sent again at the next epoch.
func (o *operation) missAnsweredLocked() {
	for m, call := range o.calls[:o.used] {
		if call == nil || !call.started || !o.storing {
			continue
		}
		for _, it := range o.round {
			if it.set == nil {
				o.missKeyLocked(m, it.key)
			}
		}
	}
}

// leave passes the item's record on, if it is not known to be complete, at the end of its
// operation.
func (it *item) leave(c *Coordinator, counter *watermark.Counter) {
	switch {
	case it.number == nil:
	case !it.stored || rule.Broken(rule.HeldBack):
		it.drop()
	default:
		c.unfinished.add(unfinished{place{counter, string(it.key)}, it.number})
		it.number = nil
	}
}

// releaseItems takes the items back, and keeps their memory.
func (o *operation) releaseItems() {
	clear(o.round)
	clear(o.entries)
	o.items, o.round, o.entries = o.items[:0], o.round[:0], o.entries[:0]
}

// addItem adds a set to an operation that has not begun to write.
func (o *operation) addItem(s *setter) {
	n := len(o.items)
	if n < cap(o.items) {
		o.items = o.items[:n+1] // with the buffers of its last use
	} else {
		o.items = append(o.items, item{})
	}
	it := &o.items[n]
	it.set, it.stored, it.record = s, false, version.Record{}
}
