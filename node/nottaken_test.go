package node

import (
	"errors"
	"fmt"
	"testing"

	"viakv/api/kv"
	"viakv/node/topology"
)

// A join that ends with its membership answers that nothing has happened. Errors that a client
// tells apart stay what they are.
func TestAJoinThatEndsWithItsMembershipHasDoneNothing(t *testing.T) {
	for _, end := range []error{topology.ErrReplaced, topology.ErrForgotten, topology.ErrOver} {
		var u *kv.Unavailable
		if err := notTaken(fmt.Errorf("membership: %w", end)); !errors.As(err, &u) || u.Outcome != kv.None || !errors.Is(err, end) {
			t.Errorf("%v: got %v", end, err)
		}
	}
	for _, known := range []error{kv.ErrFull, kv.ErrPeerUnreachable, kv.ErrAlreadyMember} {
		if err := notTaken(known); err != known { //nolint:errorlint // the very same
			t.Errorf("%v became %v", known, err)
		}
	}
}
