package runner

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"viakv/bench/workload"
)

// Config describes a run. Targets, Keys and Sources are required.
type Config struct {
	Targets []Target // connections go to them in turn
	Keys    workload.Keys
	Sources func(worker int) workload.Source // called once for each connection

	Connections int // zero: 16
	Pipeline    int // requests in flight on each connection. Zero: 1
	// Rate is the number of requests a second of an open loop. Zero: a closed loop.
	Rate float64
	// Poisson makes the arrivals of the open loop random, as those of many independent users.
	// Otherwise they are evenly spaced.
	Poisson bool
	Seed    uint64

	// Warmup is a time whose samples are shown but not summed. Zero: none.
	Warmup time.Duration
	// Ramp is the time over which the rate, or the number of connections, grows from zero. It is
	// part of the warm-up. Zero: none.
	Ramp time.Duration
	// Duration is the time of the run after the warm-up. Zero: until the sources end.
	Duration time.Duration
	// Timeout is how long one request may take. Then its connection is given up. A request of an
	// open loop that is to be sent later than that after its intended time is dropped. Zero: 10 s.
	Timeout time.Duration

	// Verify checks the values of gets against the key space. A mismatch is an error.
	Verify bool
	// OnSample is called once a second, always from the same goroutine. Nil: not called.
	OnSample func(Sample)
	// OnDone is called in the worker's goroutine for every request that was answered or lost. The
	// loader repeats the failed ones. Nil: not called.
	OnDone func(op workload.Op, good bool)
}

// Bounds of every run (B3).
const (
	MaxConnections = 4096
	MaxPipeline    = 1024
	MaxRate        = 10_000_000
	MaxDuration    = 24 * time.Hour
)

func (c Config) withDefaults() Config {
	c.Connections, c.Pipeline, c.Timeout = cmp.Or(c.Connections, 16), cmp.Or(c.Pipeline, 1), cmp.Or(c.Timeout, 10*time.Second)
	return c
}

// validate returns all faults of the configuration.
func (c Config) validate() error {
	faults := []error{c.Keys.Validate()}
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if len(c.Targets) == 0 {
		fault("no target: name at least one")
	}
	if c.Sources == nil {
		fault("no source of requests")
	}
	if c.Connections < 0 || c.Connections > MaxConnections {
		fault("%d connections: give 1 to %d", c.Connections, MaxConnections)
	}
	if c.Pipeline < 0 || c.Pipeline > MaxPipeline {
		fault("%d requests in flight on a connection: give 1 to %d", c.Pipeline, MaxPipeline)
	}
	if c.Rate < 0 || c.Rate > MaxRate {
		fault("a rate of %g a second: give 0, for a closed loop, to %d", c.Rate, MaxRate)
	}
	for name, d := range map[string]time.Duration{"warm-up": c.Warmup, "ramp": c.Ramp, "duration": c.Duration, "time-out": c.Timeout} {
		if d < 0 || d > MaxDuration {
			fault("%s of %s: give 0 to %s", name, d, MaxDuration)
		}
	}
	if c.Rate > 0 && c.Duration == 0 {
		fault("an open loop needs a duration")
	}
	return errors.Join(faults...)
}
