package scan

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"viakv/api/kv"
	"viakv/quorum/replica"
)

// A member with an overdue answer may cost a scan a time-out for each question. It is asked only
// when no other is left.
func TestAScanAsksTheSilentLast(t *testing.T) {
	s := newMesh(t, 3)
	s.fill(300)
	s.nodes[0].owes[1].Store(true)
	for range 2 { // the peers take turns
		wantKeys(t, drain(t, s.scan(0, kv.ScanOptions{})), 300)
	}
	if s.asked[1] != 0 || s.asked[2] == 0 {
		t.Errorf("asked the silent member %d times, the other %d times", s.asked[1], s.asked[2])
	}
	s.nodes[0].owes[2].Store(true)
	wantKeys(t, drain(t, s.scan(0, kv.ScanOptions{})), 300)
}

// A scan that fails says that too few replicas answered. It says so even where the epoch has ended
// and this node does not hear of the next one.
func TestAScanThatHearsOfNoNextEpochSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMesh(t, 3)
		s.fill(100)
		s.Advance(nil, 1, 2)
		sc := s.scan(0, kv.ScanOptions{})
		defer sc.Close()
		var b kv.Batch
		_, err := sc.Next(context.Background(), &b)
		var u *kv.Unavailable
		if !errors.As(err, &u) || u.Outcome != kv.None || !errors.Is(err, kv.ErrTooFewReplicas) || !errors.Is(err, replica.ErrEpoch) {
			t.Error(err)
		}
	})
}
