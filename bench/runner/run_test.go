package runner

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"viakv/bench/workload"
)

func measure(t testing.TB, c Config) *Result {
	t.Helper()
	c.Keys = workload.DefaultKeys()
	r, err := Run(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestAClosedLoopSendsEverythingOnce(t *testing.T) {
	f := &fake{answer: always(Answer{Outcome: OK})}
	var mu sync.Mutex
	seen := map[uint64]int{}
	r := measure(t, Config{Targets: []Target{f}, Sources: requests(10_000, workload.Set), Connections: 7, Pipeline: 5, OnDone: func(op workload.Op, good bool) {
		mu.Lock()
		defer mu.Unlock()
		if seen[op.Index]++; !good {
			t.Error("a request failed")
		}
	}})
	if r.Good() != 10_000 || len(seen) != 10_000 || r.Errors.Sum() != 0 || r.Open {
		t.Errorf("%d good, %d seen, errors %+v", r.Good(), len(seen), r.Errors)
	}
	if most := f.most.Load(); most > 5 || most < 2 {
		t.Errorf("%d requests in flight on a connection, want up to 5", most)
	}
	if r.Latency[workload.Set].TotalCount() != 10_000 || r.Latency[workload.Get].TotalCount() != 0 {
		t.Error("the histograms are not by kind")
	}
}

func TestAnswersAreCountedByWhatTheyAre(t *testing.T) {
	f := &fake{answer: func(n int64, _ workload.Kind) (Answer, error) {
		switch n % 5 {
		case 0:
			return Answer{Outcome: Missing, Status: 404}, nil
		case 1:
			return Answer{Outcome: Refused, Status: 503}, nil
		case 2:
			return Answer{Status: 500}, nil
		}
		return Answer{Outcome: OK}, nil
	}}
	r := measure(t, Config{Targets: []Target{f}, Sources: requests(1000, workload.Get), Connections: 3})
	if r.Good() != 600 || r.Missing != 200 || r.Errors.Refused != 200 || r.Errors.Failed != 200 || r.Status[503] != 200 || r.Status[500] != 200 {
		t.Errorf("good %d, missing %d, %+v, status %v", r.Good(), r.Missing, r.Errors, r.Status)
	}
	if of := r.Kinds[workload.Get]; of != (KindCounts{Missing: 200, Refused: 200, Failed: 200}) || r.Unserved() != 400 {
		t.Errorf("of the gets %+v, unserved %d", of, r.Unserved())
	}
}

// TestSamplesTellWhatWasServed checks that each second has its own counts of what was refused, what
// failed, what found no key, and what was due.
func TestSamplesTellWhatWasServed(t *testing.T) { synctest.Test(t, samplesTellWhatWasServed) }

func samplesTellWhatWasServed(t *testing.T) {
	f := &fake{}
	f.answer = func(n int64, _ workload.Kind) (Answer, error) {
		switch {
		case n <= 100: // the first second
			return Answer{Outcome: OK}, nil
		case n <= 200:
			return Answer{Outcome: Refused, Status: 503}, nil
		case n <= 300:
			return Answer{Outcome: Missing, Status: 404}, nil
		case n <= 350:
			return Answer{Status: 500}, nil
		}
		f.refuse.Store(true)
		return Answer{}, errors.New("died")
	}
	r := measure(t, Config{Targets: []Target{f}, Sources: requests(1<<40, workload.Get), Connections: 1, Rate: 100, Duration: 5 * time.Second, Timeout: time.Second})
	if len(r.Samples) < 5 {
		t.Fatalf("%d samples", len(r.Samples))
	}
	for i, want := range []Sample{{Good: 100}, {Refused: 100}, {Good: 100, Missing: 100}, {Failed: 51}, {}} {
		got := r.Samples[i]
		if i == 3 || i == 4 { // the target is gone, and connections cannot be made
			if got.Unconnected == 0 {
				t.Errorf("second %d: no connection failed", i+1)
			}
			want.Unconnected = got.Unconnected
		}
		want.Errors = want.Refused + want.Failed + want.Unconnected
		near := func(a, b int64) bool { return a-b >= -1 && a-b <= 1 } // where a second ends
		if !near(got.Good, want.Good) || !near(got.Missing, want.Missing) || !near(got.Refused, want.Refused) || !near(got.Failed, want.Failed) || !near(got.Errors, want.Errors) ||
			math.Abs(got.Asked-100) > 0.1 {
			t.Errorf("second %d: %+v, want %+v and 100 asked", i+1, got, want)
		}
	}
	if all := r.Good() + r.Unserved(); all != 500 || r.Dropped < 100 {
		t.Errorf("%d of 500 requests are accounted for, %d of them dropped", all, r.Dropped)
	}
}

// TestAClosedLoopTellsHowLongItGotNoAnswer checks Silent: a loop that cannot connect asks nothing,
// so that its requests do not show the outage.
func TestAClosedLoopTellsHowLongItGotNoAnswer(t *testing.T) {
	synctest.Test(t, aClosedLoopTellsHowLongItGotNoAnswer)
}

func aClosedLoopTellsHowLongItGotNoAnswer(t *testing.T) {
	share := func(hang time.Duration, refuse bool) float64 {
		f := &fake{}
		f.answer = func(n int64, _ workload.Kind) (Answer, error) {
			if n > 2000 && n <= 2002 { // after two seconds, on both connections
				f.refuse.Store(refuse)
				time.Sleep(hang)
				return Answer{}, errors.New("died")
			}
			time.Sleep(2 * time.Millisecond)
			return Answer{Outcome: OK}, nil
		}
		return measure(t, Config{Targets: []Target{f}, Sources: requests(1<<40, workload.Get), Connections: 2, Warmup: time.Second, Duration: 4 * time.Second}).SilentShare()
	}
	for name, c := range map[string]struct{ got, want float64 }{
		"it died":             {share(0, true), 0.75},
		"it hung, then died":  {share(time.Second, true), 0.75},
		"it hung, then lived": {share(2*time.Second, false), 0.5},
		"it reset once":       {share(0, false), 0},
	} {
		if math.Abs(c.got-c.want) > 0.02 {
			t.Errorf("%s: %.3f of the time without an answer, want %.2f", name, c.got, c.want)
		}
	}
}

// TestABrokenConnectionCostsWhatWasInFlight checks R2 for both loops.
func TestABrokenConnectionCostsWhatWasInFlight(t *testing.T) {
	for _, rate := range []float64{0, 20_000} {
		t.Run(fmt.Sprint("rate ", rate), func(t *testing.T) {
			f := &fake{}
			f.answer = func(n int64, _ workload.Kind) (Answer, error) {
				if n == 50 {
					return Answer{}, errors.New("cut")
				}
				return Answer{Outcome: OK}, nil
			}
			const asked = 300
			r := measure(t, Config{Targets: []Target{f}, Sources: requests(asked, workload.Get), Connections: 1, Pipeline: 4, Rate: rate, Duration: 10 * time.Second})
			if r.Errors.Lost < 1 || r.Errors.Lost > 2*4 || f.connects.Load() < 2 {
				t.Errorf("lost %d with %d connections", r.Errors.Lost, f.connects.Load())
			}
			if total := r.Good() + r.Errors.Lost; total != asked {
				t.Errorf("%d of %d requests are accounted for: %+v", total, asked, r.Errors)
			}
		})
	}
}

func TestATargetThatIsAwayIsAnErrorAtTheStartAndAResultLater(t *testing.T) {
	f := &fake{answer: always(Answer{Outcome: OK})}
	f.refuse.Store(true)
	c := Config{Targets: []Target{f}, Keys: workload.DefaultKeys(), Sources: requests(1, workload.Get)}
	if _, err := Run(context.Background(), c); err == nil || !strings.Contains(err.Error(), "no connection could be made") {
		t.Errorf("got %v", err)
	}
	f.refuse.Store(false)
	f.answer = func(n int64, _ workload.Kind) (Answer, error) {
		if n == 10 {
			f.refuse.Store(true)
			return Answer{}, errors.New("died")
		}
		return Answer{Outcome: OK}, nil
	}
	r := measure(t, Config{Targets: []Target{f}, Sources: requests(1<<40, workload.Get), Connections: 2, Duration: 300 * time.Millisecond})
	if r.Errors.Lost == 0 || r.Errors.Connect == 0 || r.Good() < 9 {
		t.Errorf("good %d, %+v", r.Good(), r.Errors)
	}
}

func TestAStoppedRunSaysSo(t *testing.T) {
	f := &fake{answer: always(Answer{Outcome: OK})}
	for _, rate := range []float64{0, 1000} {
		ctx, cancel := context.WithCancel(context.Background())
		c := Config{Targets: []Target{f}, Keys: workload.DefaultKeys(), Sources: requests(1<<40, workload.Get), Duration: time.Hour, Rate: rate,
			OnSample: func(Sample) { cancel() }}
		r, err := Run(ctx, c)
		if err != nil || r.Incomplete == "" || r.Good() == 0 {
			t.Errorf("%+v, %v", r, err)
		}
		cancel()
	}
}

// TestAConnectionThatWasNotUsedIsClosed checks that a run which is stopped in its ramp closes the
// connections of the workers that had not begun.
func TestAConnectionThatWasNotUsedIsClosed(t *testing.T) {
	f := &fake{answer: always(Answer{Outcome: OK})}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	c := Config{Targets: []Target{f}, Keys: workload.DefaultKeys(), Sources: requests(1<<40, workload.Get), Connections: 3, Ramp: time.Hour, Duration: time.Second}
	if _, err := Run(ctx, c); err != nil {
		t.Fatal(err)
	}
	if made, closed := f.connects.Load(), f.closes.Load(); made != 3 || closed != made {
		t.Errorf("%d connections were made and %d closed", made, closed)
	}
}

func TestTheWarmUpIsShownAndNotSummed(t *testing.T) {
	f := &fake{answer: func(int64, workload.Kind) (Answer, error) {
		time.Sleep(time.Millisecond) // a slow target
		return Answer{Outcome: OK}, nil
	}}
	r := measure(t, Config{Targets: []Target{f}, Sources: requests(1<<40, workload.Get), Connections: 2, Warmup: 400 * time.Millisecond, Duration: 400 * time.Millisecond})
	var warm, hot int64
	for _, s := range r.Samples {
		if s.Warm {
			warm += s.Good
		} else {
			hot += s.Good
		}
	}
	if warm == 0 || hot == 0 || r.Good() > f.requests.Load()*3/4 {
		t.Errorf("warm %d, measured %d, good %d of %d", warm, hot, r.Good(), f.requests.Load())
	}
}

// TestAShortEndOfTheWarmUpIsLeftOut checks that a piece at the end of the warm-up which is too
// short for a sample is left out with its time: the first measured sample counts from where the
// measuring begins.
func TestAShortEndOfTheWarmUpIsLeftOut(t *testing.T) {
	start := time.Now()
	c := newCollector(nil, nil, start, nil)
	c.collect(start.Add(time.Second), true)
	c.collect(start.Add(1100*time.Millisecond), true)
	c.collect(start.Add(2100*time.Millisecond), false)
	if len(c.samples) != 2 || c.samples[1].Seconds != 1 {
		t.Errorf("want two samples of a second each, got %+v", c.samples)
	}
}

func TestValuesAreVerified(t *testing.T) {
	keys := workload.DefaultKeys()
	f := &fake{answer: func(n int64, _ workload.Kind) (Answer, error) {
		a := Answer{Outcome: OK, Value: []byte("nonsense")}
		if n%2 == 0 {
			a.Value = keys.AppendValue(nil, 0, 5)
		}
		return a, nil
	}}
	zero := func(int) workload.Source { return &sameKey{n: 100} }
	r := measure(t, Config{Targets: []Target{f}, Sources: zero, Connections: 1, Verify: true})
	if r.Errors.Mismatch != 50 || r.Good() != 50 {
		t.Errorf("good %d, %+v", r.Good(), r.Errors)
	}
}

type sameKey struct{ n int }

func (s *sameKey) Next() (workload.Op, bool) {
	s.n--
	return workload.Op{Kind: workload.Get}, s.n >= 0
}

func TestConfigFaultsAreAllReported(t *testing.T) {
	c := Config{Connections: -1, Pipeline: MaxPipeline + 1, Rate: -1, Warmup: -1, Duration: 48 * time.Hour}
	err := c.validate()
	for _, part := range []string{"no target", "no source", "connections", "in flight", "rate", "warm-up", "duration"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%v does not name: %s", err, part)
		}
	}
	c = Config{Targets: make([]Target, 1), Sources: requests(1, workload.Get), Keys: workload.DefaultKeys(), Rate: 5}
	if err := c.validate(); err == nil || !strings.Contains(err.Error(), "duration") {
		t.Errorf("an open loop without an end: %v", err)
	}
}

func TestMerging(t *testing.T) {
	f := &fake{answer: always(Answer{Outcome: OK})}
	a := measure(t, Config{Targets: []Target{f}, Sources: requests(100, workload.Get), Connections: 1})
	b := measure(t, Config{Targets: []Target{f}, Sources: requests(50, workload.Set), Connections: 1})
	elapsed := a.Elapsed + b.Elapsed
	if a.Merge(b); a.Good() != 150 || a.Elapsed != elapsed || a.Latency[workload.Set].TotalCount() != 50 {
		t.Errorf("good %d in %v", a.Good(), a.Elapsed)
	}
}
