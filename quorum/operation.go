package quorum

import (
	"sync"
	"time"

	"viakv/api/kv"
	"viakv/quorum/lease"
	"viakv/quorum/replica"
	"viakv/quorum/version"
	"viakv/quorum/version/rule"
	"viakv/quorum/watermark"
	"viakv/ring/keyspace"
)

// operation is one request under way: its present phase, and those calls of all its phases that
// have not ended.
//
// The goroutine of the request drives it: it begins phases and waits. Calls end in the transport's
// goroutines. These only count, and wake the request when the count decides something. After the
// answer no goroutine drives the operation. It lives on until its last call has ended (Q6).
type operation struct {
	c      *Coordinator
	wake   chan struct{} // holds one token: something was decided, or timer has fired
	timer  *time.Timer   // wakes the request
	expiry *time.Timer   // ends the operation after its answer

	// Set by Coordinator.begin, and by move between phases.
	v        *replica.View
	hash     keyspace.Hash
	key      []byte // borrowed from the request until its answer
	r, w     int
	strict   bool // of a remove: it asks for no less than the promise, whatever its r is
	carried  bool // of a remove: another node has forwarded it
	asked    kv.Options
	began    time.Time // when the first call of the present phase was started
	deadline time.Time
	sequence uint64 // of a forwarded request

	// This node's own copy.
	own       version.Record // borrows ownBuffer
	ownBuffer []byte

	// What a write is made of.
	record version.Record // borrows vector, and the request's value
	vector []byte
	seen   version.Seen

	hintKey []byte // copy of key, for the calls that outlive the request

	// Of a write that asks nobody first (many.go).
	items    []item          // all of them
	round    []*item         // those of the present phase; changed while it has no calls
	entries  []Entry         // the records of the round
	ended    []*setter       // those that are about to be told their outcome
	hashes   []keyspace.Hash // of those that are about to be stored here
	relied   []uint64        // the sessions that count here, by slot
	detached bool            // the request of the first item does not drive the operation any more

	// What is needed to tell when the record is complete (complete.go).
	number *watermark.Open // the record's, while it is open; nil: none is
	enough int             // how many replicas must hold the record
	sent   bool            // the own copy holds the record, or something newer, and others may hold it

	unasked bool     // of a remove: nobody was asked for its base (L15)
	one     [1]Entry // what is sent of record

	mu     sync.Mutex
	phase  phase             // the present phase
	calls  [MaxMembers]*Call // of the present phase, by member
	causes [MaxMembers]error // why members failed in the present phase
	// used bounds the members that have had calls since Coordinator.begin. From this index on,
	// calls and causes are empty.
	used int
	// names are the sessions that the members have named (L4). They outlive a phase for those that
	// count as its holders.
	names [MaxMembers][]lease.Name
	heard memberSet // the members that have said for which records of the round they vouch
	// waiting is since when the present phase waits for holders of leases alone, and zero while it
	// does not. waited is how long it and earlier ones did.
	waiting time.Time
	waited  time.Duration

	open     int  // calls of all phases that have not ended
	storing  bool // a member that misses the present phase gets a hint
	answered bool // the request has its answer
	armed    bool // expiry has been set
}

func newOperation(c *Coordinator) *operation {
	o := &operation{c: c, wake: make(chan struct{}, 1)}
	o.timer = time.AfterFunc(time.Hour, o.nudge) // one channel to wait on is much cheaper than two
	o.timer.Stop()
	o.expiry = time.AfterFunc(time.Hour, o.expire)
	o.expiry.Stop()
	return o
}

// begin checks the request's quorums and returns an operation at the present view.
func (c *Coordinator) begin(key []byte, asked kv.Options) (*operation, error) {
	v, err := replica.Serving(c.cfg.Views)
	if err != nil {
		return nil, err
	}
	o := c.operations.Get().(*operation)
	o.key, o.asked, o.deadline = key, asked, asked.Deadline
	if o.deadline.IsZero() {
		o.deadline = time.Now().Add(c.cfg.Timeout)
	}
	o.answered, o.armed, o.strict, o.carried, o.unasked = false, false, false, false, false
	o.relied, o.sent, o.detached = nil, false, false
	o.waiting, o.waited = time.Time{}, 0
	if err := o.move(v); err != nil {
		o.release()
		return nil, err
	}
	return o, nil
}

// move makes the operation go on at a view. It first gives up the calls of the former view, since
// their members' indices mean nothing in the new one.
func (o *operation) move(v *replica.View) (err error) {
	hash := v.Seed.Hash(o.key)
	o.mu.Lock()
	o.missAnsweredLocked()
	o.dropLocked()
	o.v, o.hash, o.storing = v, hash, false
	o.mu.Unlock()
	if o.r, err = v.ReadQuorum(o.asked.R); err == nil {
		o.w, err = v.WriteQuorum(o.asked.W)
	}
	return err
}

// beginPhase starts a phase that needs so many answers of the members that may answer. The holders
// already have the phase's record, and count, as far as they have named nobody else.
// With naming, no answer counts without those that it has named.
func (o *operation) beginPhase(need int, holders memberSet, naming bool) {
	p := newPhase(need, votersOf(o.v), holders)
	p.naming, p.self = naming, o.v.Self
	o.enter(p)
}

// enter starts a phase: from here on only its own calls count.
func (o *operation) enter(p phase) {
	o.mu.Lock()
	o.dropLocked()
	o.began, o.storing = time.Time{}, false
	clear(o.causes[:o.used])
	for m := range o.v.Slots {
		if p.yes.has(m) {
			o.heedLocked(&p, m)
		} else {
			o.names[m] = o.names[m][:0]
		}
	}
	o.phase = p
	o.waitingLocked()
	select {
	case <-o.wake:
	default:
	}
	o.mu.Unlock()
}

// dropLocked gives up the calls of the present phase. Those that it could withdraw are free at
// once.
func (o *operation) dropLocked() {
	for m, call := range o.calls[:o.used] {
		if call == nil {
			continue
		}
		o.calls[m] = nil
		if !call.started {
			o.c.calls.Put(call)
		} else if o.c.cfg.Peers.Cancel(call) {
			call.started = false
			o.open--
			o.c.calls.Put(call)
		}
	}
}

// start sends a call of the present phase to a member.
func (o *operation) start(m int, kind Kind, urgent bool) {
	member := &o.v.Members[m]
	if o.began.IsZero() {
		o.began = time.Now()
	}
	call := o.c.calls.Get().(*Call)
	call.op, call.Kind, call.Member, call.Urgent, call.Began = o, kind, m, urgent, o.began
	call.Target = member.Incarnation
	if call.Target == 0 {
		call.Target = member.Pending
	}
	call.Key, call.Have, call.Records = o.key, o.own.Tag, o.sending()
	call.R, call.W, call.Deadline, call.Sequence = o.asked.R, o.asked.W, o.deadline, o.sequence
	call.Relied = 0
	if m < len(o.relied) {
		call.Relied = o.relied[m]
	}
	o.mu.Lock()
	call.started = true
	o.calls[m] = call
	o.used = max(o.used, m+1)
	o.open++
	o.mu.Unlock()
	o.c.cfg.Peers.Start(o.v, call)
}

// sending returns the records that a call of the present phase brings.
func (o *operation) sending() []Entry {
	if len(o.round) > 0 {
		return o.entries
	}
	o.one[0] = Entry{o.key, &o.record}
	return o.one[:]
}

// End tells the call's operation that the reply fields are set. It must be called exactly once for
// each started call that was not cancelled. The caller must hold no lock that Cancel takes. End
// does not block (Q1). From then on the call belongs to its operation again.
func (c *Call) End() {
	o := c.op
	o.mu.Lock()
	c.started = false
	o.open--
	if o.calls[c.Member] == c {
		o.countLocked(c)
	} else { // the call is of an earlier phase, or was given up
		o.c.calls.Put(c)
	}
	o.unlockAndRelease()
}

// countLocked counts a call that has ended in the present phase.
func (o *operation) countLocked(call *Call) {
	m, status := call.Member, call.Status
	switch status {
	case OK, Same, Missing, Nack:
		o.names[m] = append(o.names[m][:0], call.Names...)
		o.heedLocked(&o.phase, m)
		if len(o.round) > 0 {
			o.doubtLocked(m, call.Doubts)
		}
	case Stale:
		// Usually the phase is run again at the newer epoch and brings the record to the peer. The
		// hint is then superfluous. But when enough other members have taken the record, the
		// request is answered and the phase is not run again.
		o.missLocked(m)
	default:
		o.causes[m] = call.Err
		o.missLocked(m)
		if rule.Broken(rule.RealAcks) && o.storing {
			status = OK
		}
	}
	if o.phase.reply(m, status) && !o.answered {
		o.nudge()
	}
	o.waitingLocked()
	o.settleLocked()
}

// nudge wakes the request. The request itself then looks whether anything was decided.
func (o *operation) nudge() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// missLocked notes a hint for a member that did not store the records.
func (o *operation) missLocked(m int) {
	if !o.storing {
		return
	}
	for _, it := range o.round {
		o.missKeyLocked(m, it.key)
	}
	if len(o.round) == 0 {
		o.missKeyLocked(m, o.hintKey)
	}
}

func (o *operation) missKeyLocked(m int, key []byte) {
	member := &o.v.Members[m]
	o.c.cfg.Hints.Miss(member.Name, member.Holder(), key)
}

// countOwn counts the answer of this node's own replica, which was just given.
func (o *operation) countOwn(yes bool) {
	status := OK
	if !yes {
		status = Nack
	}
	o.mu.Lock()
	o.names[o.v.Self] = append(o.names[o.v.Self][:0], o.v.Given.Names()...)
	o.heedLocked(&o.phase, o.v.Self)
	o.phase.reply(o.v.Self, status)
	o.waitingLocked()
	o.settleLocked()
	o.mu.Unlock()
}

// renew waits for a view later than the operation's and goes on with it. It returns false when the
// deadline comes first, or when this node is no member at the later view.
func (o *operation) renew() bool {
	o.c.stats.renewed.Add(1)
	for {
		if v := o.c.cfg.Views.Current(); v != o.v {
			return v != nil && v.Incarnation() != 0 && o.move(v) == nil
		}
		left := time.Until(o.deadline)
		if left <= 0 {
			return false
		}
		o.timer.Reset(left)
		select {
		case <-o.v.Superseded:
			// Current returns the next view by now: it was set before this one was closed.
		case <-o.wake:
		}
	}
}

// finish ends the request's part in the operation. It withdraws the calls that only this request
// needed. Calls that store a record go on in the background.
func (o *operation) finish() {
	o.timer.Stop()
	o.mu.Lock()
	o.key = nil
	if !o.storing {
		o.dropLocked()
	}
	o.answered = true
	if o.open > 0 && o.storing {
		o.armed = true
		o.expiry.Reset(o.c.cfg.StoreTimeout)
	}
	o.unlockAndRelease()
}

// expire gives hints to the members that have not answered in time and withdraws their calls.
func (o *operation) expire() {
	o.mu.Lock()
	if o.open == 0 { // the last call ended while expire was starting
		o.mu.Unlock()
		return
	}
	for m := range o.v.Members {
		if call := o.calls[m]; call != nil && call.started {
			o.missLocked(m)
		}
	}
	o.storing = false // each member gets one hint
	o.dropLocked()
	o.unlockAndRelease()
}

// unlockAndRelease unlocks the operation, and releases it when the request was answered and no call
// is open. The caller must not touch the operation afterwards.
func (o *operation) unlockAndRelease() {
	done := o.answered && o.open == 0
	o.mu.Unlock()
	if done {
		o.release()
	}
}

// release ends the operation once all its calls have ended. The operation goes back to its pool,
// unless its expiry may still be about to run.
func (o *operation) release() {
	o.leave()
	for m, call := range o.calls[:o.used] {
		if call != nil {
			o.calls[m] = nil
			o.c.calls.Put(call)
		}
	}
	clear(o.causes[:o.used])
	o.releaseItems()
	o.one[0] = Entry{}
	o.v, o.used = nil, 0
	o.own, o.record = version.Record{}, version.Record{}
	if !o.armed || o.expiry.Stop() {
		o.c.operations.Put(o)
	}
}
