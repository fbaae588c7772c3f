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
func (e Errors) Sum() int64 { return e.Refused + e.Failures() + e.Connect }

// Failures returns the number of requests that failed: bad answers, lost requests and wrong values.
// A refused request did nothing and is no failure. A connection that could not be made is none
// either, because no request was sent on it.
func (e Errors) Failures() int64 { return e.Failed + e.Lost + e.Mismatch }

func (e *Errors) add(o Errors) {
	e.Refused += o.Refused
	e.Failed += o.Failed
	e.Lost += o.Lost
	e.Connect += o.Connect
	e.Mismatch += o.Mismatch
}

// KindCounts are the requests of one kind that found no key or were not served.
type KindCounts struct {
	Missing, Refused int64
	Failed           int64 // bad answers, lost requests and wrong values
}

func (k *KindCounts) add(o KindCounts) {
	k.Missing += o.Missing
	k.Refused += o.Refused
	k.Failed += o.Failed
}

// Counts are the answers of some time, by what they are.
type Counts struct {
	Latency [workload.Kinds]*hdrhistogram.Histogram // answered requests only
	Kinds   [workload.Kinds]KindCounts
	Missing int64 // answered requests that found no key
	Late    int64 // sent more than a millisecond after the intended time
	Dropped int64 // not sent, because it was too late
	Errors  Errors
	Status  map[int]int64 // of bad answers
	// Silent is how long the connections of a closed loop got no answer because they were broken or
	// could not be made, summed over them. In an open loop it is 0: the requests that were due and
	// not served say the same there.
	Silent time.Duration
}

// NewCounts returns counts of nothing.
func NewCounts() *Counts {
	c := &Counts{Status: map[int]int64{}}
	for k := range c.Latency {
		c.Latency[k] = newHistogram()
	}
	return c
}

// Unserved returns the number of requests that were due and not served: refused, failed or dropped.
func (c *Counts) Unserved() int64 { return c.Errors.Refused + c.Errors.Failures() + c.Dropped }

// Good returns the number of answers that were no error: the answered requests.
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
	c.Missing, c.Late, c.Dropped, c.Errors, c.Silent = 0, 0, 0, Errors{}, 0
	c.Kinds = [workload.Kinds]KindCounts{}
	clear(c.Status)
}

func (c *Counts) merge(o *Counts) {
	for k, h := range o.Latency {
		if h.TotalCount() > 0 {
			c.Latency[k].Merge(h)
		}
	}
	for k := range c.Kinds {
		c.Kinds[k].add(o.Kinds[k])
	}
	c.Missing += o.Missing
	c.Late += o.Late
	c.Dropped += o.Dropped
	c.Silent += o.Silent
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

	connections int
}

// SilentShare returns Silent as a part of the time of all connections, from 0 to 1.
func (r *Result) SilentShare() float64 {
	all := r.Elapsed.Seconds() * float64(r.connections)
	if all <= 0 {
		return 0
	}
	return min(r.Silent.Seconds()/all, 1)
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
