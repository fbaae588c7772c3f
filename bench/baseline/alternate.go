package baseline

import (
	"context"
	"math"
	"slices"

	"viakv/bench/runner"
)

// Alternated is the result of measuring a target and the baseline in turns, so that other load on
// the machine affects both.
type Alternated struct {
	Target, Baseline *runner.Result
	// Ratios are the target's throughput over the baseline's, one for each round. Ratio is their
	// median.
	Ratios []float64
	Ratio  float64
}

// Alternate measures both for some rounds, as Turns does.
func Alternate(ctx context.Context, target, baseline runner.Config, rounds int) (*Alternated, error) {
	turns, err := Turns(ctx, []Side{{Config: target}, {Config: baseline}}, rounds)
	if err != nil {
		return nil, err
	}
	a := new(Alternated)
	for round, one := range turns[0] {
		two := turns[1][round]
		if two.Throughput() > 0 {
			a.Ratios = append(a.Ratios, one.Throughput()/two.Throughput())
		}
		if a.Target == nil {
			a.Target, a.Baseline = one.Result, two.Result
		} else {
			a.Target.Merge(one.Result)
			a.Baseline.Merge(two.Result)
		}
	}
	a.Ratio = Median(a.Ratios)
	return a, nil
}

// Median returns the median of the values, or NaN if there are none.
func Median(v []float64) float64 {
	if len(v) == 0 {
		return math.NaN()
	}
	s := slices.Sorted(slices.Values(v))
	if n := len(s); n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[len(s)/2]
}
