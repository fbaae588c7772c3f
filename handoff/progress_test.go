package handoff

import (
	"testing"
	"time"
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
