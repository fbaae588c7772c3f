package check

import (
	"math"
	"sync"
	"time"
)

// staleWatch looks for stale answers while a history is recorded, at little cost. A read that began
// when a write w was known to have taken effect must not return a value whose write had ended
// before w began (K6). The search at the end finds more than that, and later.
//
// A write is known to have taken effect once it was acknowledged, or a read has returned its value.
type staleWatch struct {
	mu   sync.Mutex
	keys map[*key]*writes

	clearing int           // clears that may take effect yet
	cleared  time.Duration // the latest end of a clear
	newest   time.Duration // the latest beginning of a clear that has taken effect

	found int
	stale []string // the first of them
}

// writes are the writes of one key.
type writes struct {
	sets     map[opValue]*Span // forever is the end of one without an answer
	removing int               // removes that may take effect yet
	removed  time.Duration     // the latest end of a remove
	newest   time.Duration     // the latest beginning of a write that has taken effect
}

// never is before all times.
const never = time.Duration(math.MinInt64)

func newStaleWatch() *staleWatch {
	return &staleWatch{keys: map[*key]*writes{}, cleared: never, newest: never}
}

// shownStale is how many stale answers a verdict shows.
const shownStale = 20

func (w *staleWatch) of(k *key) *writes {
	if w.keys[k] == nil {
		w.keys[k] = &writes{sets: map[opValue]*Span{}, removed: never, newest: never}
	}
	return w.keys[k]
}

// begin notes an operation before it is sent. It returns the latest beginning of a write that is
// known to have taken effect by then. The key of a clear is nil.
func (w *staleWatch) begin(k *key, o *operation) (floor time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if o.Kind == clearAll {
		w.clearing++
		return never
	}
	of := w.of(k)
	switch o.Kind {
	case set:
		of.sets[o.Value] = &Span{From: o.Call, To: forever}
	case remove:
		of.removing++
	}
	return max(of.newest, w.newest)
}

// end notes the answer of an operation. It reports whether the answer is stale.
func (w *staleWatch) end(k *key, o *operation, floor time.Duration) (stale bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if o.Kind == clearAll {
		w.endClear(o)
		return false
	}
	of := w.of(k)
	switch {
	case o.Kind == remove && o.Result != open:
		of.removing--
		if o.Result == done {
			of.removed, of.newest = max(of.removed, o.Return), max(of.newest, o.Call)
		}
	case o.Kind == set && o.Result != open:
		of.sets[o.Value].To = o.Return
		if o.Result == done {
			of.newest = max(of.newest, o.Call)
		}
	}
	switch {
	case o.Result == missing:
		stale = of.removing == 0 && w.clearing == 0 && max(of.removed, w.cleared) < floor
	case o.Kind == get && o.Result == done && of.sets[o.Value] != nil:
		written := of.sets[o.Value]
		stale = written.To < floor
		of.newest = max(of.newest, written.From)
	}
	if stale {
		if w.found++; len(w.stale) < shownStale {
			w.stale = append(w.stale, "key "+k.name+": "+o.String()+"; a later write had taken effect that began at "+seconds(floor))
		}
	}
	return stale
}

func (w *staleWatch) endClear(o *operation) {
	if o.Result == open {
		return // it may take effect at any time
	}
	w.clearing--
	if o.Result == done {
		w.cleared, w.newest = max(w.cleared, o.Return), max(w.newest, o.Call)
	}
}
