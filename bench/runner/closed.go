package runner

import "time"

// closed keeps the pipeline full until the time is over, the source is empty or the connection
// breaks. It reports whether the connection broke.
func (w *worker) closed() (broke bool) {
	window := make([]sent, 0, w.Pipeline) // in flight; the oldest is at head
	head := 0
	reads, writes := deadlines{timeout: w.Timeout}, deadlines{timeout: w.Timeout}
	abandon := func() {
		for _, s := range window[head:] {
			w.lost(s)
		}
	}
	stop := false
	for {
		now := time.Now()
		stop = stop || w.stopped(now)
		window = append(window[:0], window[head:]...)
		head = 0
		queued := false
		// Fill the window with new requests, and send them together.
		for !stop && !w.exhausted && len(window) < w.Pipeline {
			op, ok := w.source.Next()
			if !ok {
				w.exhausted = true
				break
			}
			w.send(op)
			window = append(window, sent{op, now})
			queued = true
		}
		if queued {
			writes.renew(now, w.connection.SetWriteDeadline)
			if err := w.connection.Flush(); err != nil {
				abandon()
				return true
			}
		}
		if len(window) == 0 {
			return false
		}
		reads.renew(now, w.connection.SetReadDeadline)
		// Wait for one answer, and take with it all that have arrived. The next flush then sends as
		// many requests at once.
		for head < len(window) && (head == 0 || w.connection.Buffered()) {
			a, err := w.connection.Receive()
			if err != nil {
				abandon()
				return true
			}
			if head == 0 || head%16 == 0 {
				now = time.Now()
			}
			w.heard = now
			w.done(window[head], a, now)
			head++
		}
	}
}
