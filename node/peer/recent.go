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

// recentSpan is longer than any copy of a request travels. By then the coordinator has given the
// request up, and the connections that carried it are gone.
const recentSpan = 30 * time.Second

// first reports whether the request has not been seen before.
func (r *recentRequests) first(id requestID, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.now == nil || now.Sub(r.turned) > recentSpan {
		r.old, r.now, r.turned = r.now, map[requestID]struct{}{}, now
	}
	if _, seen := r.now[id]; seen {
		return false
	}
	if _, seen := r.old[id]; seen {
		return false
	}
	r.now[id] = struct{}{}
	return true
}

// forget makes the next copy of a request count as the first. This copy has done nothing, and its
// sender will send the request again.
func (r *recentRequests) forget(id requestID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.now, id)
	delete(r.old, id)
}
