package handoff

import (
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"viakv/quorum/replica"
)

// Config of a Driver.
type Config struct {
	Views    replica.Views // its Current is never nil: a driver runs once there is a view
	Peers    Peers
	Topology Topology
	NewID    func() uint64 // random ids of purge lists, never zero
	Logger   *zap.Logger   // default: none

	// Timeout of one request to a peer. Lower finds out sooner that one is gone, higher bears
	// slower ones. Default 3 s.
	Timeout time.Duration
	// HintLimit bounds the keys noted for one member. Higher costs memory (a key and about 60 bytes
	// each), lower turns more absences into comparisons of digests. Default 100,000.
	HintLimit int
	// RepairEvery is how often one other member, in turn, is compared with. Default 10 s; negative:
	// never.
	RepairEvery time.Duration
	// RepairRate bounds the bytes per second that replays and repairs move. A rebuild is not held
	// back. Default 64 MiB; negative: no bound.
	RepairRate int64
	// PurgeEvery is the least time between two purges, and the least age of a tombstone that is
	// purged. Default 3 s; negative: never.
	PurgeEvery time.Duration
	// PurgeBatch is the most tombstones of one purge. Requests wait while a node removes them,
	// about 1 µs each. Default 32,768.
	PurgeBatch int
	// CheckEvery is how often one bucket's digest is recomputed. Default 1 s; negative: never.
	CheckEvery time.Duration
}

func (c Config) withDefaults() Config {
	if c.Logger == nil {
		c.Logger = zap.NewNop()
	}
	if c.Timeout == 0 {
		c.Timeout = 3 * time.Second
	}
	if c.HintLimit == 0 {
		c.HintLimit = 100_000
	}
	if c.RepairEvery == 0 {
		c.RepairEvery = 10 * time.Second
	}
	if c.RepairRate == 0 {
		c.RepairRate = 64 << 20
	}
	if c.PurgeEvery == 0 {
		c.PurgeEvery = 3 * time.Second
	}
	if c.PurgeBatch == 0 {
		c.PurgeBatch = 32 << 10
	}
	if c.CheckEvery == 0 {
		c.CheckEvery = time.Second
	}
	return c
}

// Validate reports everything that is missing.
func (c Config) Validate() error {
	var errs []error
	for _, need := range []struct {
		name  string
		there bool
	}{
		{"Views", c.Views != nil}, {"Peers", c.Peers != nil},
		{"Topology", c.Topology != nil}, {"NewID", c.NewID != nil},
	} {
		if !need.there {
			errs = append(errs, fmt.Errorf("handoff: Config.%s is missing", need.name))
		}
	}
	if c.HintLimit < 0 || c.PurgeBatch < 0 {
		errs = append(errs, errors.New("handoff: a bound is negative"))
	}
	return errors.Join(errs...)
}
