package peer

import (
	"sync"

	"viakv/quorum/version"
	"viakv/quorum/version/rule"
)

// windows tells the first copy of a numbered request from later copies, for each incarnation that
// sends them. It is the anti-replay window of IPsec (RFC 6479): each of the newest numbers is
// known, and an older number counts as seen. Unlike recentRequests, it costs no memory per request,
// so it can do this for every offer.
type windows struct {
	mu sync.Mutex
	of map[version.Incarnation]*window
}

// windowSize is how far below the newest number another number may be and still be told apart. The
// numbers are a coordinator's counters, which rise with the writes of all members. A busy cluster
// makes that many writes in a second or two.
const windowSize = 1 << 16

type window struct {
	newest uint64
	seen   [windowSize / 64]uint64 // one bit per number, modulo windowSize
}

// first reports whether a number of an incarnation has not been seen before, and notes it.
func (ws *windows) first(from version.Incarnation, n uint64) bool {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	w := ws.of[from]
	if w == nil {
		if ws.of == nil {
			ws.of = map[version.Incarnation]*window{}
		}
		w = new(window)
		ws.of[from] = w
	}
	return w.first(n) || rule.Broken(rule.OneCopy)
}

// forget makes the next copy of a number count as the first. This copy has done nothing.
func (ws *windows) forget(from version.Incarnation, n uint64) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if w := ws.of[from]; w != nil && n > w.newest-min(w.newest, windowSize) {
		word, bit := bitOf(n)
		w.seen[word] &^= bit
	}
}

// keep drops the windows of the incarnations that are not known any more.
func (ws *windows) keep(known func(version.Incarnation) bool) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for from := range ws.of {
		if !known(from) {
			delete(ws.of, from)
		}
	}
}

func (w *window) first(n uint64) bool {
	switch {
	case n > w.newest:
		if n-w.newest >= windowSize {
			clear(w.seen[:])
		} else {
			for i := w.newest; i < n; i++ { // usually a few steps
				word, bit := bitOf(i + 1)
				w.seen[word] &^= bit
			}
		}
		w.newest = n
	case w.newest-n >= windowSize:
		return false
	}
	word, bit := bitOf(n)
	if w.seen[word]&bit != 0 {
		return false
	}
	w.seen[word] |= bit
	return true
}

func bitOf(n uint64) (word int, bit uint64) {
	i := n % windowSize
	return int(i / 64), 1 << (i % 64)
}
