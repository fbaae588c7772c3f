package runner

import (
	"context"
	"math"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"viakv/bench/workload"
)

func TestArrivals(t *testing.T) {
	collect := func(poisson bool, ramp, end time.Duration) (all []time.Duration) {
		a := newArrivals(1000, poisson, ramp, end, 1)
		for {
			at, ok := a.next()
			if !ok {
				return all
			}
			if n := len(all); n > 0 && at < all[n-1] {
				t.Fatalf("%v comes after %v", at, all[n-1])
			}
			all = append(all, at)
		}
	}
	even := collect(false, 0, 10*time.Second)
	if len(even) != 10_000 || (even[7]-7*time.Millisecond).Abs() > time.Microsecond {
		t.Errorf("%d arrivals, the eighth at %v", len(even), even[7])
	}
	for _, ramp := range []time.Duration{0, 4 * time.Second} {
		a := newArrivals(1000, false, ramp, 10*time.Second, 1)
		for _, n := range []float64{0, 500, 3000, 7999} {
			if got := a.expected(a.when(n)); math.Abs(got-n) > 0.01 {
				t.Errorf("with a ramp of %v: %.2f are expected when %.0f have come", ramp, got, n)
			}
		}
	}
	// The ramp counts half its time.
	if n := len(collect(false, 4*time.Second, 10*time.Second)); n < 7_998 || n > 8_002 {
		t.Errorf("with a ramp: %d arrivals", n)
	}
	random := collect(true, 0, 10*time.Second)
	if n := len(random); n < 9_600 || n > 10_400 {
		t.Errorf("poisson: %d arrivals", n)
	}
	var gaps, squares float64
	for i := 1; i < len(random); i++ {
		g := (random[i] - random[i-1]).Seconds() * 1000
		gaps, squares = gaps+g, squares+g*g
	}
	n := float64(len(random) - 1)
	if variation := math.Sqrt(squares/n-(gaps/n)*(gaps/n)) / (gaps / n); variation < 0.9 || variation > 1.1 {
		t.Errorf("the gaps' variation is %.2f, that of a Poisson process is 1", variation)
	}
}

// TestAStallIsSeenByAllItHoldsUp checks that an open loop counts from the intended start. So every
// request that should have been sent during a stall of the target sees the stall. A closed loop
// would count it once (B1).
func TestAStallIsSeenByAllItHoldsUp(t *testing.T) { synctest.Test(t, aStallIsSeenByAllItHoldsUp) }

func aStallIsSeenByAllItHoldsUp(t *testing.T) {
	const stall = 200 * time.Millisecond
	var stalled atomic.Bool
	f := &fake{answer: func(n int64, _ workload.Kind) (Answer, error) {
		if n == 100 && stalled.CompareAndSwap(false, true) {
			time.Sleep(stall)
		}
		return Answer{Outcome: OK}, nil
	}}
	r := measure(t, Config{Targets: []Target{f}, Sources: requests(1<<40, workload.Get), Connections: 1, Pipeline: 2, Rate: 1000, Duration: time.Second})
	h := r.All()
	slow := int64(0)
	for _, bar := range h.Distribution() {
		if bar.From > (stall / 2).Microseconds() {
			slow += bar.Count
		}
	}
	if slow < 80 || r.Late < 80 {
		t.Errorf("%d requests saw half the stall or more, %d were late; about 100 should", slow, r.Late)
	}
}

func TestArrivalsThatAreTooLateAreDropped(t *testing.T) {
	synctest.Test(t, arrivalsThatAreTooLateAreDropped)
}

func arrivalsThatAreTooLateAreDropped(t *testing.T) {
	f := &fake{answer: func(n int64, _ workload.Kind) (Answer, error) {
		if n == 20 {
			time.Sleep(200 * time.Millisecond)
		}
		return Answer{Outcome: OK}, nil
	}}
	r := measure(t, Config{Targets: []Target{f}, Sources: requests(1<<40, workload.Get), Connections: 1, Rate: 1000, Duration: 500 * time.Millisecond, Timeout: 20 * time.Millisecond})
	if r.Dropped < 100 || r.Dropped > 250 {
		t.Errorf("%d dropped, want about 180", r.Dropped)
	}
	if total := r.Good() + r.Dropped; total < 480 || total > 520 {
		t.Errorf("%d arrivals are accounted for, want about 500", total)
	}
}

// TestAStoppedOpenLoopOwesNothing checks that a run which is stopped dropped only what was due
// before that: nothing, for a target that keeps up, and what waited for it, for one that does not.
func TestAStoppedOpenLoopOwesNothing(t *testing.T) { synctest.Test(t, aStoppedOpenLoopOwesNothing) }

func aStoppedOpenLoopOwesNothing(t *testing.T) {
	for name, c := range map[string]struct {
		takes        time.Duration
		fewest, most int64
	}{"it keeps up": {2 * time.Millisecond, 0, 0}, "it does half": {20 * time.Millisecond, 240, 260}} {
		f := &fake{answer: func(int64, workload.Kind) (Answer, error) {
			time.Sleep(c.takes)
			return Answer{Outcome: OK}, nil
		}}
		ctx, cancel := context.WithTimeout(context.Background(), 2505*time.Millisecond)
		r, err := Run(ctx, Config{Targets: []Target{f}, Keys: workload.DefaultKeys(), Sources: requests(1<<40, workload.Get), Connections: 2, Rate: 200, Duration: time.Hour})
		cancel()
		if err != nil || r.Dropped < c.fewest || r.Dropped > c.most || r.Good() < 240 {
			t.Errorf("%s: %d answered, %d dropped, %v", name, r.Good(), r.Dropped, err)
		}
	}
}

func TestFindMax(t *testing.T) {
	synctest.Test(t, findMax)
	f := &fake{answer: always(Answer{})}
	c := Config{Targets: []Target{f}, Keys: workload.DefaultKeys(), Sources: requests(1<<40, workload.Get), Connections: 2}
	if _, _, err := FindMax(context.Background(), c, Search{Objective: Objective{50, time.Second}, StepTime: 50 * time.Millisecond}); err == nil {
		t.Error("a target that only fails has no highest rate")
	}
}

func findMax(t *testing.T) {
	// The target answers two connections, and takes 2 ms for each request. So it does 1000 requests
	// a second at most; slightly below that rate, queues grow.
	f := &fake{answer: func(int64, workload.Kind) (Answer, error) {
		time.Sleep(2 * time.Millisecond)
		return Answer{Outcome: OK}, nil
	}}
	seen := 0
	c := Config{Targets: []Target{f}, Keys: workload.DefaultKeys(), Sources: requests(1<<40, workload.Get), Connections: 2}
	best, steps, err := FindMax(context.Background(), c, Search{Objective: Objective{50, 50 * time.Millisecond}, StepTime: 300 * time.Millisecond, precision: 0.2, OnStep: func(Step) { seen++ }})
	if err != nil || best == nil || seen != len(steps) {
		t.Fatalf("%v, %v, %d steps, %d seen", best, err, len(steps), seen)
	}
	if rate := best.Throughput(); rate < 800 || rate > 1000 {
		t.Errorf("the highest rate is %.0f", rate)
	}
	none, steps, err := FindMax(context.Background(), c, Search{Objective: Objective{50, time.Millisecond}, StepTime: 100 * time.Millisecond, precision: 0.5})
	if err != nil || none != nil || len(steps) == 0 || steps[0].Why == "" {
		t.Errorf("an objective below the service time: %v, %v, %+v", none, err, steps)
	}
}

func TestObjectives(t *testing.T) {
	for text, want := range map[string]Objective{"p99<5ms": {99, 5 * time.Millisecond}, "p99.9<1.5s": {99.9, 1500 * time.Millisecond}, "p50<300us": {50, 300 * time.Microsecond}} {
		if got, err := ParseObjective(text); err != nil || got != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "p99", "p99<", "p99<5", "99<5ms", "p99<0ms", "p100<5ms", "p99<5ms "} {
		if o, err := ParseObjective(text); err == nil {
			t.Errorf("%q gave %v", text, o)
		}
	}
}
