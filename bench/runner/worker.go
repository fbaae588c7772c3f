package runner

import (
	"context"
	"time"

	"viakv/api/sleep"
	"viakv/bench/workload"
)

// worker owns one connection at a time.
type worker struct {
	*run
	id         int
	target     Target
	recorder   *recorder
	source     workload.Source
	connection Connection // nil: not made yet

	key, value []byte
	exhausted  bool
	// heard is when a closed loop last had an answer, or began to wait for its first one.
	heard time.Time
}

const (
	firstPause = 10 * time.Millisecond
	maxPause   = time.Second
)

// work runs sessions, one for each connection, until the run is over.
func (w *worker) work() {
	defer func() {
		if w.connection != nil {
			_ = w.connection.Close()
		}
		w.silent(time.Now())
	}()
	if !sleep.For(w.ctx, w.delay(w.id)) {
		return
	}
	pause := firstPause
	w.heard = time.Now()
	for !w.exhausted && !w.stopped(time.Now()) {
		if w.connection == nil {
			var err error
			if w.connection, err = w.dial(); err != nil {
				w.connection = nil
				w.recorder.count(w.warm(time.Now()), func(c *Counts) { c.Errors.Connect++ })
				if !sleep.For(w.ctx, pause) {
					return
				}
				pause = min(2*pause, maxPause)
				continue
			}
		}
		began := time.Now()
		if w.arrivals != nil {
			w.open()
		} else {
			w.silent(began)
			if broke := w.closed(); !broke {
				w.heard = time.Time{}
			}
		}
		_ = w.connection.Close()
		w.connection = nil
		// The pause grows from session to session. After a session that lasted, the target is not
		// down, so the pause is short again.
		if pause = min(2*pause, maxPause); time.Since(began) > maxPause {
			pause = firstPause
		}
		if w.exhausted || w.stopped(time.Now()) || !sleep.For(w.ctx, pause) {
			break
		}
	}
}

// silent counts the time since the closed loop last had an answer, as far as it was measured. The
// caller makes it count when the connection has broken or was made anew.
func (w *worker) silent(now time.Time) {
	from, to := w.heard, now
	if w.measured.After(from) {
		from = w.measured
	}
	if w.end.Before(to) {
		to = w.end
	}
	if took := to.Sub(from); w.arrivals == nil && !w.heard.IsZero() && took > 0 {
		w.recorder.count(false, func(c *Counts) { c.Silent += took })
	}
	w.heard = now
}

func (w *worker) dial() (Connection, error) {
	ctx, cancel := context.WithTimeout(w.ctx, min(w.Timeout, time.Until(w.end)))
	defer cancel()
	return w.target.Connect(ctx)
}

// send queues a request.
func (w *worker) send(op workload.Op) {
	w.key = w.Keys.AppendKey(w.key[:0], op.Index)
	if op.Kind == workload.Set {
		w.value = w.Keys.AppendValue(w.value[:0], op.Index, op.Salt)
	}
	w.connection.Append(op.Kind, w.key, w.value)
}

// done records an answer.
func (w *worker) done(s sent, a Answer, now time.Time) {
	mismatch := w.Verify && s.op.Kind == workload.Get && a.Outcome == OK && !w.Keys.Matches(s.op.Index, a.Value)
	good := w.recorder.answer(s.op.Kind, a, now.Sub(s.begin), w.warm(s.begin), mismatch)
	if w.OnDone != nil {
		w.OnDone(s.op, good)
	}
}

// lost records a request that will get no answer.
func (w *worker) lost(s sent) {
	w.recorder.count(w.warm(s.begin), func(c *Counts) {
		c.Errors.Lost++
		c.Kinds[s.op.Kind].Failed++
	})
	if w.OnDone != nil {
		w.OnDone(s.op, false)
	}
}

// deadlines renews a connection's deadline only once a sixteenth of the time-out has passed since
// the last time, because setting it costs more than reading the clock.
type deadlines struct {
	timeout time.Duration
	renewed time.Time
}

func (d *deadlines) renew(now time.Time, set func(time.Time)) {
	if now.Sub(d.renewed) > d.timeout/16 {
		d.renewed = now
		set(now.Add(d.timeout + d.timeout/16))
	}
}
