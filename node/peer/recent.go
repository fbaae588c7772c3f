package peer

import (
	"sync"
	"time"

	"viakv/quorum/version"
)

// recentRequests remembers the requests that must not be carried out twice, in case the network
// delivers them twice (T1, N6). It keeps two spans of time and forgets what is older. So its memory
// is bounded by the rate of such requests.
type recentRequests struct {
	mu       sync.Mutex
	now, old map[requestID]struct{}
	turned   time.Time
}

// requestID names a request. It contains the cluster because two clusters may use the same
// incarnations.
type requestID struct {
	cluster uint64
	version.Operation
}

// onceSpan is longer than any copy of a request travels. By then the coordinator has given the
// request up, and the connections that carried it are gone.
const onceSpan = 30 * time.Second

// first reports whether the request has not been seen before.
func (o *recentRequests) first(id requestID, now time.Time) bool {
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

// forget makes the next copy of a request count as the first. This copy has done nothing, and its
// sender will send the request again.
func (o *recentRequests) forget(id requestID) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.now, id)
	delete(o.old, id)
}
