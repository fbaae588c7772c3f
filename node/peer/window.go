package peer

import (
	"sync"

	"viakv/quorum/version"
	"viakv/quorum/version/rule"
)

// windows tells the first copies of numbered requests from later ones, for each incarnation that
// sends them. It is the anti-replay window of IPsec (RFC 6479): of the newest numbers each is
// known, and whatever is older counts as seen. Unlike once it costs no memory by request, and so it
// does for writes.
type windows struct {
	mu sync.Mutex
	of map[version.Incarnation]*window
}

// windowSize is how far behind the newest number another may be and still be told apart. The
// numbers are a coordinator's counters, which move on with the writes of all members: this is what
// a busy cluster writes in a second or two.
const windowSize = 1 << 16

type window struct {
	newest uint64
	seen   [windowSize / 64]uint64 // by number modulo windowSize
}

// first reports whether a number has not been seen before, and notes it.
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

// forget makes the next copy of a number the first one: this one has done nothing.
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
			for i := w.newest + 1; i < n; i++ { // mostly one step
				word, bit := bitOf(i)
				w.seen[word] &^= bit
			}
		}
		w.newest = n
		word, bit := bitOf(n)
		w.seen[word] |= bit
		return true
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
