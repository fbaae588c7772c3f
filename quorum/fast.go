package quorum

import (
	"time"

	"viakv/api/kv"
	"viakv/quorum/version"
	"viakv/quorum/version/rule"
)

// Fast writes: one round of messages instead of two, where one peer completes both quorums and
// holds what this node holds.
//
// An operation that ends after one round is called fast. No register with several writers can make
// every write fast (Dutta, Guerraoui, Levy, Chakraborty: How fast can a distributed atomic read
// be?, PODC 2004), but most can be: those that no other write of the key overlaps. The query phase
// asks the peer what it holds, and the answer is nearly always "the same". So the question brings
// the record along (StoreIf), minted above what this node holds, and a peer that holds the same
// stores it at once. The two of them are a majority of three, so no completed write or read is
// above what they held, nor above the record's tag; and with this node's own copy, W hold it.
//
// A peer that holds anything else stores nothing and answers as to a query; the write goes on in
// two phases, under another tag. That is safe only because nobody else has the record: it is
// offered to one peer, and kept by this node after that peer alone. It must be certain that the
// peer has not taken it:
//
//	D10. A replica carries out one copy of an offer and refuses later ones as unknown, before it
//	     would refuse them as stale or for what it holds. A coordinator mints another tag only after
//	     a refusal that says that nothing was stored. Otherwise the record may be somewhere: the
//	     write can only go on with it, and only if a query phase, begun after the offer, finds
//	     nothing above it. Else only the peer can tell what became of the write, and its outcome is
//	     unknown if the peer does not.

// fastPeer returns the peer to which a write is offered; false where a second answer would be
// needed, or nobody is likely to give one.
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

// offer tries to set the value in one round. When it is not done, no replica has taken anything,
// and f is what a query phase has found, unless none was met.
func (o *operation) offer(peer int, value []byte) (f findings, done bool, err error) {
	o.begin(o.writeAsks())
	if o.readOwn(ReadTag) != nil || o.v.Store.Full() {
		return f, false, nil
	}
	o.countOwn(true)
	o.mint(&o.own, value)
	generation, purge := o.v.Generation, o.v.Purge
	o.start(peer, StoreIf, true)
	err = o.wait(ReadTag)
	fate := o.offered(peer)
	if fate == open && err == nil && o.overtaken() {
		o.require(o.writeAsks() + 1)
		// Whatever it says: the peer has answered now, or will not in time.
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
		if err == nil && o.current() {
			f = o.found()
		}
		return f, false, nil
	}
	if err != nil || !o.current() {
		if _, err = o.query(kv.Unknown); err != nil {
			return f, true, err
		}
	}
	if o.overtaken() || !o.resumable(generation, purge) {
		o.c.stats.unknown.Add(1)
		return f, true, &kv.Unavailable{Outcome: kv.Unknown, Reason: "the node that the value was offered to does not answer, and another change came between"}
	}
	return f, true, o.writeStore()
}

// overtaken reports whether the present phase has found something above the record that does not
// come from it.
func (o *operation) overtaken() bool {
	if rule.Broken(rule.Overtaken) {
		return false
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	above := func(t version.Tag) bool { return o.record.Tag.Less(t) && t != o.record.Tag.Tombstone() }
	for m, call := range o.calls[:o.v.Slots] {
		if call != nil && !call.started && call.Status == OK && o.phase.said(m) && above(call.Reply.Tag) {
			return true
		}
	}
	return above(o.own.Tag)
}

// fate is what has become of an offer.
type fate uint8

const (
	open    fate = iota // the peer may have taken it
	taken               // it did
	refused             // it did not, and will not
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

// spread ends a write that the peer has taken: this node stores the record, which makes two, and
// the others are sent it. An error means that this node has left the epoch. Then the record must
// not just be stored at the next one, as that of a second phase is (D2), for this node held nothing
// when the epoch ended: what the peer has said is no query there, and the write has to ask again.
func (o *operation) spread(peer int) error {
	o.begin(o.w)
	o.countHolders(only(peer))
	return o.store(everyone&^only(peer), 0)
}
