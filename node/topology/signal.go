package topology

import "sync"

// signal wakes all goroutines that wait for something to change. A goroutine takes the channel
// first, then looks, then waits: so it misses no change.
type signal struct {
	mu sync.Mutex
	ch chan struct{} // closed by the next notify; nil: no goroutine waits
}

func (s *signal) wait() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ch == nil {
		s.ch = make(chan struct{})
	}
	return s.ch
}

func (s *signal) notify() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ch != nil {
		close(s.ch)
		s.ch = nil
	}
}
