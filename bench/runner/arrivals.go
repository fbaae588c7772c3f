package runner

import (
	"math"
	"math/rand/v2"
	"sync"
	"time"
)

// arrivals hands out the intended times of an open loop, in order, to all workers.
type arrivals struct {
	rate    float64
	ramp    float64 // seconds
	end     time.Duration
	poisson bool

	mu     sync.Mutex
	random *rand.Rand
	passed float64 // expected number of arrivals so far
}

func newArrivals(rate float64, poisson bool, ramp, end time.Duration, seed uint64) *arrivals {
	return &arrivals{rate: rate, ramp: ramp.Seconds(), end: end, poisson: poisson, random: rand.New(rand.NewPCG(seed, 0xa881))}
}

// next returns when the next request is meant to start, counted from the start of the run. It
// returns false when that time lies beyond the end.
func (a *arrivals) next() (time.Duration, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	at := a.when(a.passed)
	if at >= a.end {
		return 0, false
	}
	if a.poisson {
		a.passed += a.random.ExpFloat64()
	} else {
		a.passed++
	}
	return at, true
}

// when inverts the function that gives the expected number of arrivals by a time: rate*t²/(2*ramp)
// on the ramp, then rate*(t - ramp/2). Applied to a Poisson process of rate 1 it gives one of the
// wanted rate.
func (a *arrivals) when(n float64) time.Duration {
	t := n/a.rate + a.ramp/2
	if t < a.ramp {
		t = math.Sqrt(2 * a.ramp * n / a.rate)
	}
	return time.Duration(t * float64(time.Second))
}

// expected returns the expected number of arrivals up to a time. It inverts when.
func (a *arrivals) expected(at time.Duration) float64 {
	t := min(at, a.end).Seconds()
	if t < a.ramp {
		return a.rate * t * t / (2 * a.ramp)
	}
	return a.rate * (t - a.ramp/2)
}

// left counts the arrivals up to a time that were never handed out, when a run ends early.
func (a *arrivals) left(until time.Duration) (n int64) {
	for {
		at, ok := a.next()
		if !ok || at > until {
			return n
		}
		n++
	}
}
