package quorum

import (
	"fmt"
	"sync/atomic"

	"viakv/api/kv"
	"viakv/quorum/replica"
)

// This file makes the errors of requests that found no quorum, and counts them.

// contended returns the error of a remove that overlapping requests for the key left open.
func (o *operation) contended() error {
	o.count(&o.c.stats.contended)
	return &kv.Unavailable{Outcome: kv.Unknown, Reason: kv.ErrContended.Error(), Err: kv.ErrContended}
}

// count counts how a request of this node has ended. A remove that another node has forwarded is
// counted there.
func (o *operation) count(endings *atomic.Uint64) {
	if !o.carried {
		endings.Add(1)
	}
}

// unavailable returns the error of a request that found no quorum.
func (o *operation) unavailable(outcome kv.Outcome, what string, err error) error {
	if outcome == kv.Unknown {
		o.count(&o.c.stats.unknown)
	} else {
		o.count(&o.c.stats.unavailable)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	reason := fmt.Sprintf("%s at epoch %d: %v", what, o.v.Epoch, o.phase)
	awaited := o.awaitedLocked()
	for m := range o.v.Members {
		if awaited.has(m) {
			reason += fmt.Sprintf("; %s holds a lease and is silent", o.v.Members[m].Name)
		}
		if o.causes[m] != nil {
			reason += fmt.Sprintf("; %s: %v", o.v.Members[m].Name, o.causes[m])
		}
	}
	switch {
	case err != replica.ErrEpoch:
	case o.c.cfg.Views.Current() == nil:
		reason = what + ": this node is stopping, or no longer a member of the cluster"
	default:
		reason = fmt.Sprintf("%s: the cluster went on to a newer epoch than %d", what, o.v.Epoch)
	}
	return &kv.Unavailable{Outcome: outcome, Reason: reason, Err: err}
}
