package runner

import (
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

// newHistogram returns an empty histogram with the range and precision of all runs.
func newHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(lowest, highest, digits) }

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
		c.Latency[k] = newHistogram()
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
	all := newHistogram()
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

// Result is the outcome of a run.
type Result struct {
	Counts
	Started    time.Time
	Elapsed    time.Duration // the measured part, without the warm-up
	Samples    []Sample
	CPU        time.Duration // of this process, in the measured part
	Open       bool
	Rate       float64 // the rate asked for
	Incomplete string  // why the run ended before its time; empty: it did not
}

// Throughput returns the good answers a second.
func (r *Result) Throughput() float64 {
	if r.Elapsed <= 0 {
		return 0
	}
	return float64(r.Good()) / r.Elapsed.Seconds()
}

// Merge adds another run of the same kind, as if both had been one.
func (r *Result) Merge(o *Result) {
	shift := 0.0
	if n := len(r.Samples); n > 0 {
		shift = r.Samples[n-1].Elapsed
	}
	for _, s := range o.Samples {
		s.Elapsed += shift
		r.Samples = append(r.Samples, s)
	}
	r.Elapsed += o.Elapsed
	r.Counts.merge(&o.Counts)
	r.CPU += o.CPU
	if r.Incomplete == "" {
		r.Incomplete = o.Incomplete
	}
}
