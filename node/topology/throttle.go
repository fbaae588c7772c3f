package topology

import (
	"sync"
	"time"
)

// repeatAfter is the time after which the same message may be logged again.
const repeatAfter = 10 * time.Second

// throttle lets a message pass when it is new, or old enough to be repeated.
type throttle struct {
	mu   sync.Mutex
	last string
	at   time.Time
}

func (t *throttle) due(message string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	if message == t.last && now.Sub(t.at) < repeatAfter {
		return false
	}
	t.last, t.at = message, now
	return true
}
