package lease

import (
	"sync"

	"viakv/quorum/version"
)

// Ended is what a node knows of the sessions of others that are over. The zero value knows nothing.
// It is safe for concurrent use.
type Ended struct {
	mu     sync.Mutex
	newest map[pair]uint64 // that is over: so are those before
}

// pair is a grantor and a holder.
type pair struct{ grantor, holder version.Incarnation }

// maxEnded bounds Ended.newest. What is forgotten is asked for again.
const maxEnded = 1 << 12

// Note notes that a session of a grantor is over.
func (e *Ended) Note(grantor version.Incarnation, n Name) {
	e.mu.Lock()
	defer e.mu.Unlock()
	p := pair{grantor, n.Holder}
	if len(e.newest) >= maxEnded && e.newest[p] == 0 || e.newest == nil {
		e.newest = map[pair]uint64{}
	}
	e.newest[p] = max(e.newest[p], n.Session)
}

// Known reports whether a session of a grantor is known to be over.
func (e *Ended) Known(grantor version.Incarnation, n Name) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return n.Session <= e.newest[pair{grantor, n.Holder}]
}
