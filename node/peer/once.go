package peer

import (
	"sync"
	"time"

	"viakv/quorum/version"
)

// once remembers the requests that must not be carried out twice, should the network deliver them
// twice (T1, N6). It keeps two spans of time and forgets the older, so its memory is bounded by the
// rate of such requests.
type once struct {
	mu       sync.Mutex
	now, old map[requestID]struct{}
	turned   time.Time
}

// requestID names a request: incarnations are a cluster's own.
type requestID struct {
	cluster uint64
	version.Operation
}

// onceSpan is longer than any copy of a request travels: a coordinator has given it up by then, and
// connections that carried it are gone.
const onceSpan = 30 * time.Second

// first reports whether the request has not been seen before.
func (o *once) first(id requestID, now time.Time) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.now == nil || now.Sub(o.turned) > onceSpan {
		o.old, o.now, o.turned = o.now, map[requestID]struct{}{}, now
	}
	if _, seen := o.now[id]; seen {
		return false
	}
	if _, seen := o.old[id]; seen {
		return false
	}
	o.now[id] = struct{}{}
	return true
}

// forget makes the next copy of a request the first one: this one has done nothing, and the sender
// knows that it will be asked for again.
func (o *once) forget(id requestID) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.now, id)
	delete(o.old, id)
}
