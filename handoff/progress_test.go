package handoff

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"viakv/ring/keyspace"
)

func TestTheTimeLeftIsTheTimeTakenInProportion(t *testing.T) {
	now := time.Now()
	for _, c := range []struct {
		done float64
		want time.Duration
	}{
		{0, 0}, {0.25, 3 * time.Minute}, {1, 0}, {1e-300, longest},
	} {
		p := &progress{kind: "rebuild", began: now.Add(-time.Minute), done: c.done}
		if got := p.sync(now).Left; got != c.want {
			t.Errorf("%v done in a minute: %v left, want %v", c.done, got, c.want)
		}
	}
}

// share returns the part of the keys that has a lower rank, as their hashes have it.
func TestShareFollowsTheKeys(t *testing.T) {
	const n = 200_000
	all := make([]keyspace.Rank, n)
	for i := range all {
		all[i] = seed.Hash(fmt.Appendf(nil, "k%d", i)).Rank()
	}
	slices.Sort(all)
	for i := 0; i < n; i += n / 50 {
		if got, want := share(all[i]), float64(i)/n; math.Abs(got-want) > 0.01 {
			t.Errorf("share below the rank of key %d of %d: %.4f", i, n, got)
		}
	}
	total := 0.0
	for p := range keyspace.Partition(keyspace.Partitions) {
		total += portion(p.Whole())
	}
	if math.Abs(total-1) > 1e-9 {
		t.Errorf("the partitions add up to %f", total)
	}
}
