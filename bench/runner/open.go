package runner

import (
	"sync"
	"time"
)

// lateAfter is how far behind its intended time a request may be sent without counting as late.
// Timers are not more precise.
const lateAfter = time.Millisecond

// open sends requests at their intended times until they end or the connection breaks. This
// goroutine sends; another one receives.
func (w *worker) open() {
	// The requests in flight. The capacity of the channel is the window.
	flight := make(chan sent, w.Pipeline)
	broken := make(chan struct{})
	var receiving sync.WaitGroup
	receiving.Go(func() { w.receive(flight, broken) })
	w.sendAll(flight, broken)
	close(flight)
	receiving.Wait()
}

// sendAll sends until the arrivals end or the connection breaks.
func (w *worker) sendAll(flight chan<- sent, broken <-chan struct{}) {
	writes := deadlines{timeout: w.Timeout}
	timer := time.NewTimer(0)
	defer timer.Stop()
	flush := func() bool {
		writes.renew(time.Now(), w.connection.SetWriteDeadline)
		if err := w.connection.Flush(); err != nil {
			_ = w.connection.Close() // the receiver sees that, and counts what is lost
			return false
		}
		return true
	}
	queued := 0
	defer func() {
		if queued > 0 {
			flush()
		}
	}()
	for {
		select {
		case <-broken:
			return
		default:
		}
		at, ok := w.arrivals.next()
		if !ok {
			w.exhausted = true
			return
		}
		intended := w.start.Add(at)
		// Wait for the intended time; first send what is queued. A request that is too late is
		// dropped.
		if early := time.Until(intended); early > 0 {
			if queued > 0 && !flush() {
				w.miss(intended)
				return
			}
			queued = 0
			timer.Reset(early)
			select {
			case <-timer.C:
			case <-broken:
				w.miss(intended)
				return
			case <-w.ctx.Done():
				return
			}
		} else if w.ctx.Err() != nil {
			w.miss(intended)
			return
		} else if -early > w.Timeout {
			w.miss(intended)
			continue
		}
		op, ok := w.source.Next()
		if !ok {
			w.exhausted = true
			return
		}
		// Put the request into the window, then queue it.
		s := sent{op, intended}
		select {
		case flight <- s:
		default:
			// The window is full. Send what is queued before waiting for answers.
			if queued > 0 && !flush() {
				w.lost(s)
				return
			}
			queued = 0
			select {
			case flight <- s:
			case <-broken:
				w.lost(s)
				return
			}
		}
		if time.Since(intended) > lateAfter {
			w.recorder.count(w.warm(intended), func(c *Counts) { c.Late++ })
		}
		w.send(op)
		queued++
	}
}

// miss counts an arrival that is not sent.
func (w *worker) miss(intended time.Time) {
	w.recorder.count(w.warm(intended), func(c *Counts) { c.Dropped++ })
}

// receive takes the answers. After an error it counts each request in flight as lost, until the
// sender has noticed the error.
func (w *worker) receive(flight <-chan sent, broken chan<- struct{}) {
	reads := deadlines{timeout: w.Timeout}
	failed := false
	for s := range flight {
		if !failed {
			reads.renew(time.Now(), w.connection.SetReadDeadline)
			a, err := w.connection.Receive()
			if err == nil {
				w.done(s, a, time.Now())
				continue
			}
			failed = true
			_ = w.connection.Close()
			close(broken)
		}
		w.lost(s)
	}
}
