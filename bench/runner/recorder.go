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

// Counts are the answers of some time, by what they are.
type Counts struct {
	Latency [workload.Kinds]*hdrhistogram.Histogram // good answers only
	Missing int64
	Late    int64 // sent more than a millisecond after the intended time
	Dropped int64 // not sent, because it was too late
	Errors  Errors
	Status  map[int]int64 // of bad answers
}

// NewCounts returns counts of nothing.
func NewCounts() *Counts {
	c := &Counts{Status: map[int]int64{}}
	for k := range c.Latency {
		c.Latency[k] = NewHistogram()
	}
	return c
}

// Good returns the number of answers that were no error.
func (c *Counts) Good() (n int64) {
	for _, h := range c.Latency {
		n += h.TotalCount()
	}
	return n
}

// All returns the merged histogram of all kinds of requests (B2).
func (c *Counts) All() *hdrhistogram.Histogram {
	all := NewHistogram()
	for _, h := range c.Latency {
		if h.TotalCount() > 0 {
			all.Merge(h)
		}
	}
	return all
}

func (c *Counts) reset() {
	for _, h := range c.Latency {
		if h.TotalCount() > 0 {
			h.Reset()
		}
	}
	c.Missing, c.Late, c.Dropped, c.Errors = 0, 0, 0, Errors{}
	clear(c.Status)
}

func (c *Counts) merge(o *Counts) {
	for k, h := range o.Latency {
		if h.TotalCount() > 0 {
			c.Latency[k].Merge(h)
		}
	}
	c.Missing += o.Missing
	c.Late += o.Late
	c.Dropped += o.Dropped
	c.Errors.add(o.Errors)
	for s, n := range o.Status {
		c.Status[s] += n
	}
}

// recorder keeps the counts of a few workers, which share it (R3).
type recorder struct {
	mu    sync.Mutex
	now   *Counts // since the collector's last call
	warm  *Counts // the same, of requests that began in the warm-up
	spare [2]*Counts
}

func newRecorder() *recorder {
	return &recorder{now: NewCounts(), warm: NewCounts(), spare: [2]*Counts{NewCounts(), NewCounts()}}
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
		c.Errors.Mismatch++
		return false
	case a.Outcome == Missing:
		c.Missing++
	case a.Outcome == Refused:
		c.Errors.Refused++
		c.Status[a.Status]++
		return false
	case a.Outcome == Failed:
		c.Errors.Failed++
		c.Status[a.Status]++
		return false
	}
	_ = c.Latency[kind].RecordValue(min(max(latency.Microseconds(), lowest), highest))
	return true
}

func (r *recorder) count(warm bool, change func(*Counts)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if warm {
		change(r.warm)
	} else {
		change(r.now)
	}
}

// take adds to now and warm what was recorded since the last call.
func (r *recorder) take(now, warm *Counts) {
	r.mu.Lock()
	a, b := r.now, r.warm
	r.now, r.warm = r.spare[0], r.spare[1]
	r.mu.Unlock()
	now.merge(a)
	warm.merge(b)
	a.reset()
	b.reset()
	r.spare = [2]*Counts{a, b} // only the collector uses the spare
}
