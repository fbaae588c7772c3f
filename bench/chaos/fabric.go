package chaos

import (
	"context"
	"sync"
	"time"
)

// weather is what happens to the bytes from one node to another.
type weather struct {
	held    bool          // the bytes wait
	refused bool          // connections are cut, and so are new ones
	delay   time.Duration // before each piece is delivered, in order
}

// fabric holds the weather between all nodes. It is safe for concurrent use.
type fabric struct {
	mu      sync.Mutex
	between map[[2]int]weather
	changed chan struct{} // closed at each change
}

func newFabric() *fabric {
	return &fabric{between: map[[2]int]weather{}, changed: make(chan struct{})}
}

// set changes the weather from one node to another.
func (f *fabric) set(from, to int, w weather) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.between[[2]int{from, to}] = w
	close(f.changed)
	f.changed = make(chan struct{})
}

// calm ends every fault of the network.
func (f *fabric) calm() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.between)
	close(f.changed)
	f.changed = make(chan struct{})
}

func (f *fabric) look(from, to int) (weather, <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.between[[2]int{from, to}], f.changed
}

// pass blocks until a piece that came in at that time may be delivered. It returns false when the
// connection must end.
func (f *fabric) pass(ctx context.Context, from, to int, came time.Time) bool {
	for {
		w, changed := f.look(from, to)
		if w.refused || ctx.Err() != nil {
			return false
		}
		var due <-chan time.Time
		if !w.held {
			wait := time.Until(came.Add(w.delay))
			if wait <= 0 {
				return true
			}
			t := time.NewTimer(wait)
			defer t.Stop()
			due = t.C
		}
		select {
		case <-due:
			return true
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}
