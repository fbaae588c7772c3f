package peer

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"viakv/node/transport"
	"viakv/node/wire"
	"viakv/quorum"
	"viakv/quorum/lease"
	"viakv/quorum/version"
)

// stream carries the stores for one peer, in order. Whoever brings a store while another goroutine
// sends leaves it for that one: what gathers while a batch is being sent is the next batch. A batch
// is one message, with one header and one reply, so the more callers there are, the less each store
// costs. Nothing waits for a reply, or for a timer.
//
// Before it sends, a goroutine yields once, so that the others that are ready to run can bring
// their stores. It does not where it is likely to be the only one: none of the last stores has met
// another one.
//
// Lock order: an operation of package quorum, then stream.mu, then the transport. No lock is held
// while a batch is sent, or while a call ends.
type stream struct {
	mu       sync.Mutex
	next     *batch // it gathers; nil: there is none
	sending  bool   // a goroutine is about to send the next batch, or sends one
	yielded  bool   // it has yielded before
	underway int    // batches on their way
	last     int    // how many stores the last batch had
	company  int    // for how many more stores others are expected
	spare    []*batch
}

const (
	// batchBytes is from which size on a batch gathers no more, in bytes.
	batchBytes = 64 << 10
	// ownBatches is how many batches a caller sends for others before another goroutine goes on.
	ownBatches = 4
	// companyLasts is for how many stores others are expected after one was met. The first of many
	// that are ready to run meets none.
	companyLasts = 64
	// spareBatches is how many batches a stream keeps to use them again.
	spareBatches = 4
)

const _ = uint(wire.MaxStores - quorum.MaxRecords) // a batch has room for each call

// batch is the stores that travel in one message.
type batch struct {
	stream *stream
	epoch  *Epoch
	link   *link
	to     version.Incarnation
	wire   transport.Call
	tries  int
	names  []lease.Name // of the reply

	// Guarded by the stream's lock.
	stage    stage
	carriers []*carrier // nil: the call was withdrawn
	records  int        // of all calls
	live     int        // calls that were not withdrawn
	giving   int        // goroutines that give it to the transport, which must not be asked meanwhile
	// users counts those who still use a batch that was taken out of the stream: who gives it to
	// the transport, and who ends it.
	users int
}

// stage says where a batch is.
type stage uint8

const (
	gathers  stage = iota
	underway       // with the transport, or being given to it
	behind         // waiting for its peer to be brought up to date
	ended
)

// add gives the stream a call that stores records.
func (s *stream) add(c *carrier) {
	var full *batch
	s.mu.Lock()
	b := s.next
	records := c.call.Records
	if b != nil && (b.epoch != c.epoch || b.to != c.call.Target || len(b.wire.Request) >= batchBytes || b.records+len(records) > wire.MaxStores) {
		full, b = s.takeLocked(), nil
	}
	if b == nil {
		b = s.beginLocked(c)
	}
	c.batch, c.place, c.first, c.records = b, len(b.carriers), b.records, len(records)
	b.carriers = append(b.carriers, c)
	b.records += len(records)
	b.live++
	b.wire.Urgent = b.wire.Urgent || c.call.Urgent
	for _, r := range records {
		b.wire.Request = wire.AppendStore(b.wire.Request, c.call.Relied, r.Key, r.Record)
	}
	if s.underway > 0 || s.last > 1 {
		s.company = companyLasts
	} else if s.company > 0 {
		s.company--
	}
	first, others := !s.sending, s.company > 0
	s.sending = true
	if first {
		s.yielded = others
	}
	s.mu.Unlock()
	if full != nil {
		full.send()
	}
	if !first {
		return
	}
	if others {
		runtime.Gosched()
	}
	s.drain(ownBatches)
}

// beginLocked begins to gather a batch.
func (s *stream) beginLocked(c *carrier) *batch {
	var b *batch
	if n := len(s.spare); n > 0 {
		b, s.spare = s.spare[n-1], s.spare[:n-1]
	} else {
		b = &batch{stream: s}
		b.wire.Done = b
	}
	b.epoch, b.link, b.to, b.tries, b.stage, b.wire.Urgent = c.epoch, c.link, c.call.Target, 0, gathers, false
	b.wire.Request = wire.AppendRequest(b.wire.Request[:0], wire.Stores, c.epoch.stamp(b.to))
	s.next = b
	return b
}

// takeLocked takes the batch that gathers out of the stream. The caller must send it. It returns
// nil when there is none.
func (s *stream) takeLocked() *batch {
	b := s.next
	if b != nil {
		s.next, s.last = nil, len(b.carriers)
		b.stage, b.giving, b.users = underway, 1, 2
		b.wire.Gathered = s.yielded || b.records > 1
		s.underway++
	}
	return b
}

// drain sends what has gathered until nothing is left. After so many batches it goes on in a
// goroutine of its own. It never does so when batches is negative.
func (s *stream) drain(batches int) {
	for {
		s.mu.Lock()
		b := s.takeLocked()
		s.sending = b != nil
		s.mu.Unlock()
		switch {
		case b == nil:
			return
		case batches == 0:
			go func() {
				b.send()
				s.drain(-1)
			}()
			return
		}
		batches--
		b.send()
	}
}

// withdraw takes a call out of its batch. It returns false when the call has ended, or is about to.
// silent reports whether the peer has said nothing to it.
func (s *stream) withdraw(c *carrier) (ok, silent bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := c.batch
	if b == nil {
		return false, false
	}
	b.carriers[c.place], c.batch = nil, nil
	b.live--
	silent = b.stage != behind
	s.abandonLocked(b)
	return true, silent
}

// abandonLocked withdraws a batch for which nobody waits any more, if it can be withdrawn.
func (s *stream) abandonLocked(b *batch) {
	switch {
	case b.live > 0:
	case b.stage == gathers:
		s.next, b.users = nil, 1
		s.releaseLocked(b)
	case b.stage == underway && b.giving == 0 && b.epoch.membership.cfg.Transport.Cancel(&b.wire):
		b.stage = ended
		s.underway--
		s.releaseLocked(b)
	}
}

// releaseLocked ends one use of a batch. After the last one the batch can gather other stores.
func (s *stream) releaseLocked(b *batch) {
	if b.users--; b.users > 0 {
		return
	}
	clear(b.carriers)
	b.carriers, b.records, b.live, b.epoch, b.link = b.carriers[:0], 0, 0, nil, nil
	if len(s.spare) < spareBatches && cap(b.wire.Request) <= 2*batchBytes {
		s.spare = append(s.spare, b)
	}
}

// send gives the batch to the transport. Its calls may end meanwhile.
func (b *batch) send() {
	b.tries++
	b.epoch.membership.cfg.Transport.Go(b.link.address, transport.Data, &b.wire)
	s := b.stream
	s.mu.Lock()
	defer s.mu.Unlock()
	b.giving--
	s.abandonLocked(b)
	s.releaseLocked(b)
}

// resend implements repeater.
func (b *batch) resend() {
	s := b.stream
	s.mu.Lock()
	wanted := b.live > 0
	if wanted {
		b.stage = underway
		b.giving++
		b.users++
	}
	s.mu.Unlock()
	if wanted {
		b.send()
	} else {
		b.fail(errUnwanted, true)
	}
}

// fail implements repeater: it ends all calls without a reply of the replica.
func (b *batch) fail(err error, nothingDone bool) {
	b.end(func(c *carrier) {
		c.call.Status, c.call.Err, c.call.NotSent = quorum.Failed, err, nothingDone
	})
}

// Complete implements transport.Completer. It runs in the goroutine that reads the connection.
func (b *batch) Complete(*transport.Call) {
	if err := b.wire.Err; err != nil {
		b.link.suspect(time.Now())
		b.fail(err, errors.Is(err, transport.ErrNotSent))
		return
	}
	r, err := wire.ParseReply(b.wire.Reply)
	if err != nil {
		b.fail(unreadable(b.link, err), false)
		return
	}
	m := b.epoch.membership
	b.link.answered(r.Status)
	m.hear(b.to, &r)
	switch r.Status {
	case wire.Behind:
		if b.tries < maxTries {
			b.stream.mu.Lock()
			b.stage = behind
			b.stream.mu.Unlock()
			m.updatePeer(b.link, b)
			return
		}
		b.fail(errBehind, true)
	case wire.Stale:
		m.learn(r.Epoch, r.Body)
		b.end(func(c *carrier) { c.call.Status = quorum.Stale })
	case wire.OK:
		b.acknowledged(r.Body)
	default: // some of the records may be stored
		b.fail(refused(&r), false)
	}
}

// acknowledged ends the calls, whose records the peer has stored.
func (b *batch) acknowledged(body []byte) {
	a, err := wire.ParseAcknowledgement(b.names[:0], body, b.records)
	if err != nil {
		b.fail(unreadable(b.link, err), false)
		return
	}
	b.names = a.Names
	b.end(func(c *carrier) {
		c.call.Status, c.call.Names = quorum.OK, append(c.call.Names, a.Names...)
		if len(a.Doubted) == 0 {
			return
		}
		for i := range c.records {
			if !a.Vouches(c.first + i) {
				c.call.Doubts = append(c.call.Doubts, i)
			}
		}
	})
}

// end ends the calls that were not withdrawn. fill sets what the reply says of a call.
func (b *batch) end(fill func(c *carrier)) {
	s := b.stream
	s.mu.Lock()
	b.stage = ended
	s.underway--
	for _, c := range b.carriers {
		if c != nil {
			c.batch = nil // from here on it cannot be withdrawn
		}
	}
	s.mu.Unlock()
	for _, c := range b.carriers {
		if c != nil {
			c.reset()
			fill(c)
			c.call.End()
		}
	}
	s.mu.Lock()
	s.releaseLocked(b)
	s.mu.Unlock()
}

// refused returns the error of a request that the peer has refused.
func refused(r *wire.Reply) error { return fmt.Errorf("refused: %v %s", r.Status, r.Body) }

// unreadable returns the error of a reply that is no valid one.
func unreadable(k *link, err error) error { return fmt.Errorf("a reply of %s: %w", k.address, err) }
