package runner

import "time"

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
