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

// Alternate measures both for some rounds. The order changes with each round, so that neither
// always has the warmer machine. An error of one run ends the measurement.
func Alternate(ctx context.Context, target, baseline runner.Config, rounds int) (*Alternated, error) {
	a := new(Alternated)
	for round := range rounds {
		first, second := target, baseline
		if round%2 == 1 {
			first, second = second, first
		}
		first.Seed, second.Seed = first.Seed+uint64(round), second.Seed+uint64(round)
		one, err := runner.Run(ctx, first)
		if err != nil {
			return nil, err
		}
		two, err := runner.Run(ctx, second)
		if err != nil {
			return nil, err
		}
		if round%2 == 1 {
			one, two = two, one
		}
		if two.Throughput() > 0 {
			a.Ratios = append(a.Ratios, one.Throughput()/two.Throughput())
		}
		if a.Target == nil {
			a.Target, a.Baseline = one, two
		} else {
			a.Target.Merge(one)
			a.Baseline.Merge(two)
		}
		if ctx.Err() != nil {
			break
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
