package runner

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"viakv/bench/workload"
)

// Result is the outcome of a run.
type Result struct {
	Started    time.Time
	Elapsed    time.Duration // the measured part, without the warm-up
	Latency    [workload.Kinds]*hdrhistogram.Histogram
	Missing    int64
	Late       int64 // sent more than a millisecond after the intended time
	Dropped    int64 // not sent, because it was too late
	Errors     Errors
	Status     map[int]int64 // of bad answers
	Samples    []Sample
	CPU        time.Duration // of this process, in the measured part
	Open       bool
	Rate       float64 // the rate asked for
	Incomplete string  // why the run ended before its time; empty: it did not
}

// Good returns the number of answers that were no error.
func (r *Result) Good() (n int64) {
	for _, h := range r.Latency {
		n += h.TotalCount()
	}
	return n
}

// Throughput returns the good answers a second.
func (r *Result) Throughput() float64 {
	if r.Elapsed <= 0 {
		return 0
	}
	return float64(r.Good()) / r.Elapsed.Seconds()
}

// All returns the merged histogram of all kinds of requests (B2).
func (r *Result) All() *hdrhistogram.Histogram {
	h := NewHistogram()
	for _, k := range r.Latency {
		if k.TotalCount() > 0 {
			h.Merge(k)
		}
	}
	return h
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
	for k, h := range o.Latency {
		r.Latency[k].Merge(h)
	}
	r.Missing += o.Missing
	r.Late += o.Late
	r.Dropped += o.Dropped
	r.Errors.add(o.Errors)
	for s, n := range o.Status {
		r.Status[s] += n
	}
	r.CPU += o.CPU
	if r.Incomplete == "" {
		r.Incomplete = o.Incomplete
	}
}
