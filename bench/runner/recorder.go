package runner

import (
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"viakv/bench/workload"
)

// Latencies are kept in microseconds, to three digits. A latency of more than two minutes counts as
// two minutes.
const (
	lowest  = 1
	highest = int64(2 * time.Minute / time.Microsecond)
	digits  = 3
)

// NewHistogram returns an empty histogram with the range and precision of all runs.
func NewHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(lowest, highest, digits) }

// Errors counts the errors of a run, by what happened.
type Errors struct {
	// Refused counts answers that say that nothing happened: overload, not ready, bad request.
	Refused  int64 `json:"refused"`
	Failed   int64 `json:"failed"`   // any other bad answer
	Lost     int64 `json:"lost"`     // sent, then the connection broke or the time was over
	Connect  int64 `json:"connect"`  // connections that could not be made
	Mismatch int64 `json:"mismatch"` // values that the key space does not give
}

// Sum returns the number of all errors.
func (e Errors) Sum() int64 { return e.Refused + e.Failed + e.Lost + e.Connect + e.Mismatch }

func (e *Errors) add(o Errors) {
	e.Refused += o.Refused
	e.Failed += o.Failed
	e.Lost += o.Lost
	e.Connect += o.Connect
	e.Mismatch += o.Mismatch
}

// counts is what the workers record between two calls of the collector.
type counts struct {
	latency [workload.Kinds]*hdrhistogram.Histogram // good answers only
	missing int64
	late    int64
	dropped int64
	errors  Errors
	status  map[int]int64 // of bad answers
}

func newCounts() *counts {
	c := &counts{status: map[int]int64{}}
	for k := range c.latency {
		c.latency[k] = NewHistogram()
	}
	return c
}

func (c *counts) reset() {
	for _, h := range c.latency {
		if h.TotalCount() > 0 {
			h.Reset()
		}
	}
	c.missing, c.late, c.dropped, c.errors = 0, 0, 0, Errors{}
	clear(c.status)
}

func (c *counts) merge(o *counts) {
	for k, h := range o.latency {
		if h.TotalCount() > 0 {
			c.latency[k].Merge(h)
		}
	}
	c.missing += o.missing
	c.late += o.late
	c.dropped += o.dropped
	c.errors.add(o.errors)
	for s, n := range o.status {
		c.status[s] += n
	}
}

// recorder keeps the counts of a few workers, which share it (R3).
type recorder struct {
	mu    sync.Mutex
	now   *counts // since the collector's last call
	warm  *counts // the same, of requests that began in the warm-up
	spare [2]*counts
}

func newRecorder() *recorder {
	return &recorder{now: newCounts(), warm: newCounts(), spare: [2]*counts{newCounts(), newCounts()}}
}

// answer records a request that was answered, and reports whether the answer was good.
func (r *recorder) answer(kind workload.Kind, a Answer, latency time.Duration, warm, mismatch bool) (good bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.now
	if warm {
		c = r.warm
	}
	switch {
	case mismatch:
		c.errors.Mismatch++
		return false
	case a.Outcome == Missing:
		c.missing++
	case a.Outcome == Refused:
		c.errors.Refused++
		c.status[a.Status]++
		return false
	case a.Outcome == Failed:
		c.errors.Failed++
		c.status[a.Status]++
		return false
	}
	_ = c.latency[kind].RecordValue(min(max(latency.Microseconds(), lowest), highest))
	return true
}

func (r *recorder) count(warm bool, change func(*counts)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if warm {
		change(r.warm)
	} else {
		change(r.now)
	}
}

// take adds to now and warm what was recorded since the last call.
func (r *recorder) take(now, warm *counts) {
	r.mu.Lock()
	a, b := r.now, r.warm
	r.now, r.warm = r.spare[0], r.spare[1]
	r.mu.Unlock()
	now.merge(a)
	warm.merge(b)
	a.reset()
	b.reset()
	r.spare = [2]*counts{a, b} // only the collector uses the spare
}
