package topology

import "sync"

// signal wakes everybody who waits for something to change. Take the channel first, then look, then wait: nothing is missed.
type signal struct {
	mu sync.Mutex
	ch chan struct{} // closed by the next notify; nil: nobody waits
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
