package topology

import (
	"context"
	"sync"
)

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

// until waits until f is true. It returns ctx's error when ctx ends before that.
func (s *signal) until(ctx context.Context, f func() bool) error {
	for {
		changed := s.wait()
		if f() {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (s *signal) notify() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ch != nil {
		close(s.ch)
		s.ch = nil
	}
}
