package quorum

import (
	"sync"
	"time"
)

// turns has the reads of a key that find the same record not confirmed ask the replicas one after
// the other, instead of all at once. As a rule the first one's answer confirms the record for all.
// A read waits a short time for others.
type turns struct {
	mu   sync.Mutex
	keys map[string]turn
}

// turn is closed when the read that has it has asked the replicas.
type turn chan struct{}

func newTurns() turns { return turns{keys: map[string]turn{}} }

// take returns the turn of another read of the key that is under way, or one for the caller when
// there is none.
func (t *turns) take(key []byte) (other, mine turn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if other = t.keys[string(key)]; other != nil {
		return other, nil
	}
	mine = make(turn)
	t.keys[string(key)] = mine
	return nil, mine
}

// end ends a turn of the caller.
func (t *turns) end(key []byte, mine turn) {
	t.mu.Lock()
	delete(t.keys, string(key))
	t.mu.Unlock()
	close(mine)
}

// await waits for the end of a turn, for some time. If there is a deadline, it leaves most of the
// time until then for what follows. It reports whether the turn has ended.
func (t turn) await(patience time.Duration, deadline time.Time) bool {
	if !deadline.IsZero() {
		patience = min(patience, time.Until(deadline)/4)
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-t:
		return true
	case <-timer.C:
		return false
	}
}
