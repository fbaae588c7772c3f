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
		Errors: r.Errors, Status: maps.Clone(r.Status), Silent: r.SilentShare(), Throughput: r.Throughput(), Latency: runner.QuantilesOf(merged),
		Kinds: map[string]Kind{}, Samples: r.Samples, Histograms: map[string]string{},
	}
	if l.Seconds > 0 {
		l.CPU = r.CPU.Seconds() / l.Seconds
	}
	l.store(all, merged)
	for k, h := range r.Latency {
		// A kind of which every request was refused is shown too.
		if of := r.Kinds[k]; h.TotalCount() > 0 || of != (runner.KindCounts{}) {
			name := workload.Kind(k).String()
			l.Kinds[name] = Kind{h.TotalCount(), of.Missing, of.Refused, of.Failed, runner.QuantilesOf(h)}
			l.store(name, h)
		}
	}
	return l
}

// Unserved returns the number of requests that were due and not served: refused, failed or dropped.
func (l *Load) Unserved() int64 { return l.Errors.Refused + l.Errors.Failures() + l.Dropped }

// Requests returns the number of requests that were due: the answered ones and the others.
func (l *Load) Requests() int64 { return l.Good + l.Unserved() }

// Lookups returns the number of answered requests that can find no key: all but the sets.
func (l *Load) Lookups() int64 { return l.Good - l.Kinds[workload.Set.String()].Count }

// NotServed says how many requests were not served, and what became of them.
func (l *Load) NotServed() string {
	return fmt.Sprintf("%s of %s requests (%s) were not served: %s refused, %s failed, %s dropped, %s connections not made", Count(l.Unserved()), Count(l.Requests()),
		percent(l.Unserved(), l.Requests()), Count(l.Errors.Refused), Count(l.Errors.Failures()), Count(l.Dropped), Count(l.Errors.Connect))
}

// FoundNoKey says how many of the requests that can find no key did so.
func (l *Load) FoundNoKey() string {
	return fmt.Sprintf("%s of %s answered reads and removes (%s) found no key", Count(l.Missing), Count(l.Lookups()), percent(l.Missing, l.Lookups()))
}

// percent renders a part of a whole. A part that is not zero never looks like zero.
func percent(part, whole int64) string {
	share := 100 * float64(part) / float64(max(whole, 1))
	if part > 0 && share < 0.1 {
		return "<0.1%"
	}
	return fmt.Sprintf("%.1f%%", share)
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
	if sent := l.Requests() - l.Dropped; l.Late > sent/100 && sent > 0 {
		w = append(w, fmt.Sprintf("%d of %d requests were sent more than a millisecond late; their latencies count from when they were meant to be sent", l.Late, sent))
	}
	if l.Dropped > 0 {
		w = append(w, fmt.Sprintf("%d arrivals were dropped because they were too late to be sent", l.Dropped))
	}
	if l.Errors.Sum() > 0 {
		w = append(w, fmt.Sprintf("%d refused; %d failed: %s", l.Errors.Refused, l.Errors.Failures(), l.failures()))
	}
	return w
}

// failures says how requests failed, and how many connections could not be made.
func (l *Load) failures() string {
	return fmt.Sprintf("%d bad answers, %d lost, %d wrong values; %d connections not made", l.Errors.Failed, l.Errors.Lost, l.Errors.Mismatch, l.Errors.Connect)
}
