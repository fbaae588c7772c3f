package quorum

import (
	"slices"
	"sync"
	"time"
)

// queue lets one remove of a key run at a time, and makes the others wait their turn. It is no lock
// in the sense of Q1: a remove waits in it no longer than to its deadline, and nothing waits but
// removes of the same key at the same node.
type queue struct {
	mu      sync.Mutex
	waiting map[string][]chan struct{} // a key that is in use, and the removes that wait for it
}

// enter waits for the key's turn. When err is nil, the caller must call leave.
func (q *queue) enter(key string, deadline time.Time) (leave func(), err error) {
	q.mu.Lock()
	if q.waiting == nil {
		q.waiting = map[string][]chan struct{}{}
	}
	line, used := q.waiting[key]
	if !used {
		q.waiting[key] = nil
		q.mu.Unlock()
		return func() { q.leave(key) }, nil
	}
	turn := make(chan struct{})
	q.waiting[key] = append(line, turn)
	q.mu.Unlock()

	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	select {
	case <-turn:
		return func() { q.leave(key) }, nil
	case <-timer.C:
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if i := slices.Index(q.waiting[key], turn); i >= 0 {
		q.waiting[key] = slices.Delete(q.waiting[key], i, i+1)
		return nil, errDeadline
	}
	return func() { q.leave(key) }, nil // the turn came at the same moment
}

func (q *queue) leave(key string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	line := q.waiting[key]
	if len(line) == 0 {
		delete(q.waiting, key)
		return
	}
	q.waiting[key] = line[1:]
	close(line[0])
}

// maxRemoves bounds the removes that are in progress, of those that came to this node. More at a
// time would not end sooner: they all share the processor with each other and with the reads, and
// some would wait longer.
const maxRemoves = 256

// line admits maxRemoves removes at a time, first come, first served.
type line chan struct{}

// enter waits for a place until the deadline. It reports whether it got one; then the caller must
// call leave.
func (l line) enter(deadline time.Time) bool {
	select {
	case l <- struct{}{}:
		return true
	default:
	}
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	select {
	case l <- struct{}{}:
		return true
	case <-timer.C:
		return false
	}
}

func (l line) leave() { <-l }
