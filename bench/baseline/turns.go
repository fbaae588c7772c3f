package baseline

import (
	"context"
	"slices"
	"time"

	"viakv/bench/runner"
)

// Side is one of the targets that are measured in turns.
type Side struct {
	Config runner.Config
	// Run makes one run. Nil: runner.Run.
	Run func(context.Context, runner.Config) (*runner.Result, error)
	// CPU returns the CPU time that the servers have used so far. Nil: it is not measured. With it
	// the warm-up is a run of its own, so that the time is that of the measured requests alone.
	CPU func() time.Duration
}

// Turn is one measurement of one side.
type Turn struct {
	*runner.Result
	CPU time.Duration // of the servers
}

// Turns measures each side once in each round, one after another, so that other load on the machine
// affects all of them. It returns the turns of each side, by round.
//
// The order is reversed from one round to the next, so that no side always has the warmer machine.
// Each round begins with another of a side's nodes, so that a single caller does not always ask the
// same one. An error of one run ends the measurement. The end of ctx ends it after the round.
func Turns(ctx context.Context, sides []Side, rounds int) (turns [][]Turn, err error) {
	turns = make([][]Turn, len(sides))
	for round := range rounds {
		for i := range sides {
			if round%2 == 1 {
				i = len(sides) - 1 - i
			}
			t, err := sides[i].turn(ctx, round)
			if err != nil {
				return nil, err
			}
			turns[i] = append(turns[i], t)
		}
		if ctx.Err() != nil {
			break
		}
	}
	return turns, nil
}

func (s Side) turn(ctx context.Context, round int) (t Turn, err error) {
	c := s.Config
	c.Seed += uint64(round)
	if n := len(c.Targets); n > 0 {
		c.Targets = slices.Concat(c.Targets[round%n:], c.Targets[:round%n])
	}
	run := s.Run
	if run == nil {
		run = runner.Run
	}
	if s.CPU == nil {
		t.Result, err = run(ctx, c)
		return t, err
	}
	if c.Warmup > 0 {
		warm := c
		warm.Warmup, warm.Ramp, warm.Duration = 0, 0, c.Warmup
		if _, err := run(ctx, warm); err != nil {
			return t, err
		}
		c.Warmup, c.Ramp = 0, 0
	}
	before := s.CPU()
	t.Result, err = run(ctx, c)
	t.CPU = s.CPU() - before
	return t, err
}
