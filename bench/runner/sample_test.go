package runner

import (
	"testing"
	"time"
)

// A piece at the end of the warm-up that is too short for a sample is left out with its time: the
// first measured sample counts from where the measuring begins.
func TestAShortEndOfTheWarmUpIsLeftOut(t *testing.T) {
	start := time.Now()
	c := newCollector(nil, start, nil)
	c.collect(start.Add(time.Second), true)
	c.collect(start.Add(1100*time.Millisecond), true)
	c.collect(start.Add(2100*time.Millisecond), false)
	if len(c.samples) != 2 || c.samples[1].Seconds != 1 {
		t.Errorf("want two samples of a second each, got %+v", c.samples)
	}
}
