package replica

import (
	"fmt"

	"viakv/api/kv"
)

// ReadQuorum returns the number of replicas that a request's r means at the view. The default is
// the view's R.
func (v *View) ReadQuorum(asked kv.Quorum) (int, error) { return v.resolve(asked, "r", v.R) }

// WriteQuorum returns the number of replicas that a request's w means at the view. The default is
// the view's W.
func (v *View) WriteQuorum(asked kv.Quorum) (int, error) { return v.resolve(asked, "w", v.W) }

// resolve turns a requested quorum into a number of replicas.
func (v *View) resolve(q kv.Quorum, parameter string, configured int) (int, error) {
	n := v.Slots
	switch {
	case q == kv.QuorumDefault:
		return configured, nil
	case q == kv.QuorumMajority:
		return n/2 + 1, nil
	case q == kv.QuorumAll:
		return n, nil
	case q < 1 || int(q) > n:
		return 0, &kv.ArgumentError{Parameter: parameter, Detail: fmt.Sprintf(
			"%d is not between 1 and the cluster's %d nodes; \"quorum\" and \"all\" fit every size", q, n)}
	}
	return int(q), nil
}

// errNotServing is the answer of a node that is not an active member.
var errNotServing = &kv.Unavailable{Outcome: kv.None, Reason: "this node is not an active member of a cluster yet, or no longer"}

// Serving returns the present view if this node is an active member at it, and a
// *kv.Unavailable otherwise.
func Serving(views Views) (*View, error) {
	v := views.Current()
	if v == nil || v.Incarnation() == 0 {
		return nil, errNotServing
	}
	return v, nil
}
