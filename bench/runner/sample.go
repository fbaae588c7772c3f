package runner

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Sample is one second of a run.
type Sample struct {
	Elapsed float64 `json:"elapsed"` // seconds since the start, at the end of the sample
	Seconds float64 `json:"seconds"` // length of the sample
	Warm    bool    `json:"warm,omitempty"`
	Good    int64   `json:"good"`   // answered requests, those that found no key included
	Errors  int64   `json:"errors"` // refused, failed, and connections that could not be made
	Rate    float64 `json:"rate"`   // answered requests a second
	Quantiles

	Asked       float64 `json:"asked,omitempty"` // requests that were due, in an open loop
	Missing     int64   `json:"missing"`         // answered requests that found no key
	Refused     int64   `json:"refused"`
	Failed      int64   `json:"failed"`      // bad answers, lost requests and wrong values
	Unconnected int64   `json:"unconnected"` // connections that could not be made
}

// Quantiles are quantiles of the latency of answered requests, in microseconds.
type Quantiles struct {
	Mean float64 `json:"mean"`
	P50  int64   `json:"p50"`
	P90  int64   `json:"p90"`
	P95  int64   `json:"p95"`
	P99  int64   `json:"p99"`
	P999 int64   `json:"p999"`
	Max  int64   `json:"max"`
}

// QuantilesOf returns the quantiles of a histogram.
func QuantilesOf(h *hdrhistogram.Histogram) Quantiles {
	if h.TotalCount() == 0 {
		return Quantiles{}
	}
	at := h.ValueAtPercentile
	return Quantiles{Mean: h.Mean(), P50: at(50), P90: at(90), P95: at(95), P99: at(99), P999: at(99.9), Max: h.Max()}
}

// collector takes the recorders' counts once a second and sums them up.
type collector struct {
	recorders []*recorder
	arrivals  *arrivals // nil: closed loop
	start     time.Time
	last      time.Time
	interval  *Counts
	warm      *Counts
	total     *Counts
	samples   []Sample
	onSample  func(Sample)
}

func newCollector(recorders []*recorder, due *arrivals, start time.Time, onSample func(Sample)) *collector {
	return &collector{recorders: recorders, arrivals: due, start: start, last: start, interval: NewCounts(), warm: NewCounts(), total: NewCounts(), onSample: onSample}
}

// shortest is the shortest sample that is shown, because a rate over a few milliseconds says
// nothing. A shorter rest at the end of a run is only summed, and one of the warm-up is left out.
const shortest = 200 * time.Millisecond

// collect sums up what was recorded since the last call. With warm the sample shows the warm-up.
// Requests that began in the warm-up and ended after it are in no sample.
func (c *collector) collect(now time.Time, warm bool) {
	c.interval.reset()
	c.warm.reset()
	for _, r := range c.recorders {
		r.take(c.interval, c.warm)
	}
	c.total.merge(c.interval)
	took, from := now.Sub(c.last), c.last
	if took < shortest {
		if warm {
			c.last = now // the first measured sample begins here
		}
		return
	}
	c.last = now
	shown := c.interval
	if warm {
		shown = c.warm
	}
	h := shown.All()
	s := Sample{
		Elapsed: now.Sub(c.start).Seconds(), Seconds: took.Seconds(), Warm: warm, Good: h.TotalCount(), Errors: shown.Errors.Sum(),
		Rate: float64(h.TotalCount()) / took.Seconds(), Quantiles: QuantilesOf(h),
		Missing: shown.Missing, Refused: shown.Errors.Refused, Failed: shown.Errors.Failures(), Unconnected: shown.Errors.Connect,
	}
	if c.arrivals != nil {
		s.Asked = c.arrivals.expected(now.Sub(c.start)) - c.arrivals.expected(from.Sub(c.start))
	}
	c.samples = append(c.samples, s)
	if c.onSample != nil {
		c.onSample(s)
	}
}
