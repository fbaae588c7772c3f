package report

import (
	"fmt"
	"maps"
	"runtime"
	"slices"

	"github.com/HdrHistogram/hdrhistogram-go"

	"viakv/bench/runner"
	"viakv/bench/workload"
)

// all is the name of the histogram of all kinds of requests.
const all = "all"

// FromResult turns a runner's result into a part of a report.
func FromResult(r *runner.Result) *Load {
	merged := r.All()
	l := &Load{
		Open: r.Open, Asked: r.Rate, Seconds: r.Elapsed.Seconds(), Good: r.Good(), Missing: r.Missing, Late: r.Late, Dropped: r.Dropped,
		Errors: r.Errors, Status: maps.Clone(r.Status), Throughput: r.Throughput(), Latency: runner.QuantilesOf(merged),
		Kinds: map[string]Kind{}, Samples: r.Samples, Histograms: map[string]string{},
	}
	if l.Seconds > 0 {
		l.CPU = r.CPU.Seconds() / l.Seconds
	}
	l.store(all, merged)
	for k, h := range r.Latency {
		if h.TotalCount() > 0 {
			name := workload.Kind(k).String()
			l.Kinds[name] = Kind{h.TotalCount(), runner.QuantilesOf(h)}
			l.store(name, h)
		}
	}
	return l
}

func (l *Load) store(name string, h *hdrhistogram.Histogram) {
	// The encoding includes base64. A histogram that cannot be encoded is left out; its quantiles
	// stay.
	if b, err := h.Encode(hdrhistogram.V2CompressedEncodingCookieBase); err == nil {
		l.Histograms[name] = string(b)
	}
}

// histogram returns the stored histogram of all kinds of requests.
func (l *Load) histogram() (*hdrhistogram.Histogram, error) {
	text, ok := l.Histograms[all]
	if !ok {
		return nil, fmt.Errorf("the report has no histogram %q, only %v", all, slices.Sorted(maps.Keys(l.Histograms)))
	}
	return hdrhistogram.Decode([]byte(text))
}

// AddLoad puts a load into the report, together with its warnings.
func (r *Report) AddLoad(result *runner.Result) {
	r.Load = FromResult(result)
	r.Seconds = result.Elapsed.Seconds()
	if result.Incomplete != "" {
		r.Warnings = append(r.Warnings, "incomplete: "+result.Incomplete)
	}
	r.Warnings = append(r.Warnings, r.Load.warnings()...)
}

// bearable is the share of arrivals that may be dropped. With a larger share, the run did not
// measure the rate asked for.
const bearable = 0.1

// Behind reports whether an open loop could not keep up with its rate although it could connect all
// the time. Where a target was down during the run, the dropped requests are its result (package
// bench, B5).
func (l *Load) Behind() bool {
	arrivals := l.Good + l.Errors.Sum() + l.Dropped
	return l.Open && l.Errors.Connect == 0 && float64(l.Dropped) > bearable*float64(arrivals)
}

// busy is the share of all cores above which the load generator may itself be the limit.
const busy = 0.85

func (l *Load) warnings() (w []string) {
	if !l.Open && l.Good > 0 {
		w = append(w, "closed loop: each connection waits for answers before it sends more, so that these latencies leave out what users would have waited; give --rate for an open loop")
	}
	if cores := float64(runtime.GOMAXPROCS(0)); l.CPU > busy*cores {
		w = append(w, fmt.Sprintf("the generator used %.1f of %.0f cores: it may have been the limit, not the target", l.CPU, cores))
	}
	if l.Open && l.Throughput < 0.99*l.Asked && l.Seconds > 0 {
		w = append(w, fmt.Sprintf("%.0f a second were asked for and %.0f reached", l.Asked, l.Throughput))
	}
	if sent := l.Good + l.Errors.Sum(); l.Late > sent/100 && sent > 0 {
		w = append(w, fmt.Sprintf("%d of %d requests were sent more than a millisecond late; their latencies count from when they were meant to be sent", l.Late, sent))
	}
	if l.Dropped > 0 {
		w = append(w, fmt.Sprintf("%d arrivals were dropped because they were too late to be sent", l.Dropped))
	}
	if n := l.Errors.Sum(); n > 0 {
		w = append(w, fmt.Sprintf("%d errors: %d refused, %d failed, %d lost, %d connections not made, %d wrong values",
			n, l.Errors.Refused, l.Errors.Failed, l.Errors.Lost, l.Errors.Connect, l.Errors.Mismatch))
	}
	return w
}
