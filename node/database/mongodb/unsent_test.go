package mongodb

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/topology"

	"viakv/api/kv"
)

// TestUnsent: a request that waits for a connection in vain has met an overload. One that finds no
// server has not.
func TestUnsent(t *testing.T) {
	s := &Store{}
	for _, c := range []struct {
		err      error
		overload bool
	}{
		{fmt.Errorf("x: %w", topology.WaitQueueTimeoutError{Wrapped: context.DeadlineExceeded}), true},
		{context.DeadlineExceeded, false},
		{topology.ServerSelectionError{Wrapped: context.DeadlineExceeded}, false},
	} {
		var u *kv.Unavailable
		if !errors.As(s.unsent(c.err), &u) || u.Outcome != kv.None || (u.RetryAfter > 0) != c.overload {
			t.Errorf("%v: %+v", c.err, u)
		}
	}
}
