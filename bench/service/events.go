package service

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// Events are server-sent events. A browser reconnects by itself and then gets everything anew, so
// that it misses nothing.

const (
	eventsPause = 200 * time.Millisecond // between two events of a stream
	keepAlive   = 15 * time.Second
)

// stream sends what look returns, each time that it has changed. It ends when look says done, or
// when the client has gone.
func stream(w http.ResponseWriter, r *http.Request, look func() (v any, changed <-chan struct{}, done bool)) {
	flusher, ok := w.(http.Flusher)
	if !ok {
		fail(w, http.StatusInternalServerError, "this connection cannot stream")
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.WriteHeader(http.StatusOK)
	for {
		v, changed, done := look()
		b, err := json.Marshal(v)
		if err != nil {
			return
		}
		if _, err := fmt.Fprintf(w, "data: %s\n\n", b); err != nil {
			return
		}
		flusher.Flush()
		if done {
			return
		}
		if !wait(r, changed, func() bool {
			_, err := fmt.Fprint(w, ": still here\n\n")
			flusher.Flush()
			return err == nil
		}) {
			return
		}
	}
}

// wait returns after a change, but not before eventsPause. It returns false when the client has
// gone.
func wait(r *http.Request, changed <-chan struct{}, alive func() bool) bool {
	for waiting := true; waiting; {
		select {
		case <-changed:
			waiting = false
		case <-r.Context().Done():
			return false
		case <-time.After(keepAlive):
			if !alive() {
				return false
			}
		}
	}
	select {
	case <-time.After(eventsPause):
		return true
	case <-r.Context().Done():
		return false
	}
}

// events streams the list of runs and of kept reports.
func (s *Service) events(w http.ResponseWriter, r *http.Request) {
	stream(w, r, func() (any, <-chan struct{}, bool) {
		runs, changed := s.list()
		return map[string]any{"runs": runs, "past": s.archive.list()}, changed, false
	})
}

// runEvents streams one run: first all that there is, then what is new.
func (s *Service) runEvents(w http.ResponseWriter, r *http.Request) {
	run := s.find(r.PathValue("id"))
	if run == nil {
		failed(w, errNoRun)
		return
	}
	var at position
	stream(w, r, func() (any, <-chan struct{}, bool) {
		v, next, changed := run.look(at)
		at = next
		return v, changed, v.State.ended()
	})
}
