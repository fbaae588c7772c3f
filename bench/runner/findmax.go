package runner

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Objective is what a rate must keep to: a percentile of the latency below a bound.
type Objective struct {
	Percentile float64
	Below      time.Duration
}

var objectiveForm = regexp.MustCompile(`^p([0-9]{1,2}(?:\.[0-9]{1,3})?)<([0-9.]+(?:us|µs|ms|s))$`)

// ParseObjective parses a text like "p99<5ms".
func ParseObjective(s string) (o Objective, err error) {
	parts := objectiveForm.FindStringSubmatch(s)
	if parts == nil {
		return o, fmt.Errorf("objective %q: give it as in p99<5ms or p99.9<20ms", s)
	}
	if o.Percentile, err = strconv.ParseFloat(parts[1], 64); err != nil {
		return o, err
	}
	if o.Below, err = time.ParseDuration(parts[2]); err != nil || o.Below <= 0 {
		return o, fmt.Errorf("objective %q: %s is no duration above zero", s, parts[2])
	}
	return o, nil
}

func (o Objective) String() string {
	return "p" + strconv.FormatFloat(o.Percentile, 'f', -1, 64) + "<" + o.Below.String()
}

func (o Objective) metBy(h *hdrhistogram.Histogram) bool {
	return h.TotalCount() > 0 && h.ValueAtPercentile(o.Percentile) < o.Below.Microseconds()
}

// Step is one rate that was tried.
type Step struct {
	Rate     float64 `json:"rate"`     // asked for
	Achieved float64 `json:"achieved"` // answered requests a second
	Dropped  int64   `json:"dropped"`
	Errors   int64   `json:"errors"`
	Missing  int64   `json:"missing"` // answered requests that found no key
	Refused  int64   `json:"refused"`
	Failed   int64   `json:"failed"`
	Met      bool    `json:"met"`
	Why      string  `json:"why,omitempty"` // why the objective was not met
	Quantiles
}

// Verdict returns the verdict about the rate in a few words.
func (s Step) Verdict() string {
	if s.Met {
		return "met"
	}
	return "missed: " + s.Why
}

// Search describes the search for the highest rate.
type Search struct {
	Objective Objective
	// Tolerated is the share of a rate's requests that may not be served, from 0 to 1.
	Tolerated float64
	// StepTime is how long each rate is measured, after the warm-up. Zero: 5 s.
	StepTime time.Duration
	// OnStep is called after each step. Nil: not called.
	OnStep func(Step)

	// precision is the width of the remaining range at which the search ends, as a part of the
	// rate. Zero: 0.05.
	precision float64
}

const maxSteps = 16

// FindMax looks for the highest rate of an open loop that meets the objective. It goes down from
// the throughput of a closed loop, by bisection. It returns the run at that rate, or nil when no
// rate met the objective, and every step.
func FindMax(ctx context.Context, c Config, s Search) (best *Result, steps []Step, err error) {
	s.StepTime, s.precision = cmp.Or(s.StepTime, 5*time.Second), cmp.Or(s.precision, 0.05)
	// A closed loop finds the throughput, the upper end of the range.
	probe := c
	probe.Rate, probe.Duration, probe.Ramp = 0, s.StepTime, 0
	closed, err := Run(ctx, probe)
	if err != nil {
		return nil, nil, err
	}
	if closed.Good() == 0 {
		return nil, nil, errors.New("no request succeeded, so that there is no rate to begin with: try bench run first")
	}
	low, high := 0.0, closed.Throughput()*1.1
	for range maxSteps {
		if ctx.Err() != nil || high-low <= s.precision*high {
			break
		}
		// Try the middle of the range; the first try is higher, because most targets come close to
		// their throughput.
		rate := (low + high) / 2
		if low == 0 && len(steps) == 0 {
			rate = high * 0.7
		}
		try := c
		try.Rate, try.Duration, try.Ramp = rate, s.StepTime, 0
		try.Seed = c.Seed + uint64(len(steps))
		result, err := Run(ctx, try)
		if err != nil {
			return best, steps, err
		}
		step := s.judge(rate, result)
		steps = append(steps, step)
		if s.OnStep != nil {
			s.OnStep(step)
		}
		if step.Met {
			low, best = rate, result
		} else {
			high = rate
		}
	}
	return best, steps, nil
}

// judge decides whether a run kept to the objective, and says why if it did not.
func (s Search) judge(rate float64, r *Result) Step {
	all := r.All()
	step := Step{
		Rate: rate, Achieved: r.Throughput(), Dropped: r.Dropped, Errors: r.Errors.Sum(), Quantiles: QuantilesOf(all),
		Missing: r.Missing, Refused: r.Errors.Refused, Failed: r.Errors.Failures(),
	}
	unserved := float64(r.Unserved())
	switch {
	case r.Incomplete != "":
		step.Why = r.Incomplete
	case !s.Objective.metBy(all):
		at := time.Duration(all.ValueAtPercentile(s.Objective.Percentile)) * time.Microsecond
		step.Why = fmt.Sprintf("p%g is %v", s.Objective.Percentile, at)
	case unserved > s.Tolerated*(unserved+float64(r.Good())):
		step.Why = fmt.Sprintf("%d refused, %d failed, %d dropped", step.Refused, step.Failed, step.Dropped)
	default:
		step.Met = true
	}
	return step
}
