package quorum

import (
	"time"

	"viakv/api/kv"
	"viakv/quorum/version"
	"viakv/quorum/version/rule"
)

// Fast writes take one round of messages instead of two. They are possible where one peer completes
// both quorums and holds what this node holds.
//
// An operation that ends after one round is called fast. No register with several writers can make
// every write fast (Dutta, Guerraoui, Levy, Chakraborty: How fast can a distributed atomic read
// be?, PODC 2004). But most writes can be fast: those that no other write of the key overlaps. The
// query phase asks the peer what it holds, and the answer is nearly always "the same". So the
// question carries the record (StoreIf), minted above what this node holds. A peer that holds the
// same stores it at once. The two nodes are a majority of three. So no completed write or read is
// above what they held, nor above the record's tag. With this node's own copy, W replicas hold the
// record.
//
// A peer that holds anything else stores nothing and answers as to a query. The write then goes on
// in two phases, under another tag. That is safe only because no other node has the record: it is
// offered to one peer, and this node stores it only after that peer has. It must be certain that
// the peer has not taken it:
//
//	D10. A replica carries out one copy of an offer. It refuses later copies as unknown, before it
//	     would refuse them as stale or because of what it holds. A coordinator mints another tag
//	     only after a refusal that says that nothing was stored. Otherwise a replica may hold the
//	     record. The write can then only go on with that record, and only if a query phase, begun
//	     after the offer, finds nothing above it. If the query does find something above it, only
//	     the peer can tell what became of the write. If the peer does not, the outcome is unknown.

// fastPeer returns the peer to which a write is offered. ok is false where the write needs a second
// answer, and where no peer is likely to answer.
func (o *operation) fastPeer() (peer int, ok bool) {
	v := o.v
	if v.Slots < 2 || v.Slots > 3 || o.writeAsks() != 2 || o.w != 2 {
		return 0, false
	}
	for i := 1; i < v.Slots; i++ {
		m := v.Self + i
		if m >= v.Slots {
			m -= v.Slots
		}
		if v.Members[m].Incarnation != 0 && o.c.cfg.Peers.Likely(v, m) {
			return m, true
		}
	}
	return 0, false
}

// offer tries to set the value in one round, where one peer is enough for that. When done is false,
// no replica has stored the record. f is then the result of a query phase. Its best is nil when no
// query phase was met.
func (o *operation) offer(value []byte) (f findings, done bool, err error) {
	peer, ok := o.fastPeer()
	if !ok || o.askOwn(ReadTag, o.writeAsks()) != nil || o.v.Store.Full() {
		return f, false, nil
	}
	o.mint(&o.own, value)
	generation, purge := o.v.Generation, o.v.Purge
	o.mu.Lock()
	o.reached, o.hintKey = offered, append(o.hintKey[:0], o.key...)
	o.mu.Unlock()
	o.start(peer, StoreIf, true)
	err = o.wait(ReadTag)
	fate := o.offered(peer)
	if fate == open && err == nil && o.overtaken() {
		o.mu.Lock()
		o.phase.need++ // one more answer, which only the peer can give
		o.mu.Unlock()
		// The error does not matter: the peer has answered by now, or it will not answer in time.
		_ = o.waitUntil(time.Time{}, o.deadline, 0)
		fate = o.offered(peer)
	}
	switch fate {
	case taken:
		if err = o.spread(peer); err == nil {
			o.c.stats.fast.Add(1)
			return f, true, nil
		}
	case refused:
		o.drop()
		if err == nil && o.current() {
			f = o.found()
		}
		return f, false, nil
	}
	// The peer holds the record, or may hold it. Only a query phase that begins after the offer
	// tells whether the write can go on.
	if err != nil || !o.current() {
		if _, err = o.query(kv.Unknown); err != nil {
			return f, true, err
		}
	}
	if o.overtaken() || !o.resumable(generation, purge) {
		o.c.stats.unknown.Add(1)
		return f, true, &kv.Unavailable{Outcome: kv.Unknown, Reason: "the node that the value was offered to does not answer, and another change came between"}
	}
	return f, true, o.write(Store)
}

// overtaken reports whether the present phase has found a record above the operation's own, other
// than that record's tombstone.
func (o *operation) overtaken() bool {
	if rule.Broken(rule.Overtaken) {
		return false
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	above := func(t version.Tag) bool { return o.record.Tag.Less(t) && t != o.record.Tag.Tombstone() }
	for m := range o.v.Slots {
		if call := o.saidLocked(m); call != nil && call.Status == OK && above(call.Reply.Tag) {
			return true
		}
	}
	return above(o.own.Tag)
}

// fate is what has become of an offer.
type fate uint8

const (
	open    fate = iota // the peer may have taken it
	taken               // the peer has taken it
	refused             // the peer has not taken it, and will not
)

// offered returns what has become of the offer to the peer.
func (o *operation) offered(peer int) fate {
	o.mu.Lock()
	defer o.mu.Unlock()
	call := o.calls[peer]
	switch {
	case call.started:
		return open
	case call.Status == Same:
		return taken
	case call.Status == OK, call.Status == Stale, call.Status == Failed && call.NotSent:
		return refused
	}
	return open
}

// spread ends a write that the peer has taken. This node stores the record, which makes two copies,
// and sends it to the other members. An error means that this node has left the epoch. The record
// of a write phase could then be stored again at the next epoch (D2). This one must not be: this
// node did not hold it when the epoch ended, so the peer's answer does not count as a query. The
// write has to ask again.
func (o *operation) spread(peer int) error { return o.store(o.w, only(peer), 0) }
