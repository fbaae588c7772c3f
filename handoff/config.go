package handoff

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"viakv/quorum/replica"
	"viakv/quorum/version"
)

// Config of a Driver.
type Config struct {
	Views    replica.Views // Current must never return nil: a driver runs once there is a view
	Peers    Peers
	Topology Topology
	NewID    func() uint64 // makes random IDs of purge lists, never zero
	Logger   *zap.Logger   // default: no log

	// Timeout of one request to a peer. A lower value notices a lost peer sooner, a higher one
	// bears slower peers. Default 3 s.
	Timeout time.Duration
	// HintLimit bounds the keys noted for one member. A higher value costs memory: a key and about
	// 60 bytes each. A lower one turns more absences into comparisons of digests. Default 100,000.
	HintLimit int
	// RepairEvery is how often this node compares itself with another member. The members take
	// turns. Default 10 s; negative: never.
	RepairEvery time.Duration
	// RepairRate bounds what replays and repairs move, in bytes per second. It does not slow a
	// rebuild. Default 64 MiB; negative: no bound.
	RepairRate int64
	// PurgeEvery is the least time between two purges, and the least age of a tombstone that is
	// purged. Default 3 s; negative: never.
	PurgeEvery time.Duration
	// PurgeBatch is the largest number of tombstones in one purge. Requests wait while a node
	// removes them, about 1 µs each. Default 32,768.
	PurgeBatch int
	// CheckEvery is how often one bucket's digest is recomputed. Default 1 s; negative: never.
	CheckEvery time.Duration
}

func (c Config) withDefaults() Config {
	if c.Logger == nil {
		c.Logger = zap.NewNop()
	}
	c.Timeout = cmp.Or(c.Timeout, 3*time.Second)
	c.HintLimit = cmp.Or(c.HintLimit, 100_000)
	c.RepairEvery = cmp.Or(c.RepairEvery, 10*time.Second)
	c.RepairRate = cmp.Or(c.RepairRate, 64<<20)
	c.PurgeEvery = cmp.Or(c.PurgeEvery, 3*time.Second)
	c.PurgeBatch = cmp.Or(c.PurgeBatch, 32<<10)
	c.CheckEvery = cmp.Or(c.CheckEvery, time.Second)
	return c
}

// validate reports every required field that is missing, and negative bounds.
func (c Config) validate() error {
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

// Topology takes proposals of steps. The methods block until the step is applied or refused.
type Topology interface {
	// Rebuilt reports that this node has merged what the basis asks for. It returns ErrStartOver
	// when the basis is gone.
	Rebuilt(ctx context.Context, at Basis) error
	// BarrierDone reports that this node has run the barrier of a size change.
	BarrierDone(ctx context.Context, change version.Epoch) error
	// Purge proposes to purge a list. The purge must be the step that follows the expected epoch.
	Purge(ctx context.Context, list uint64, expect version.Epoch) error
}

// ErrStartOver reports that the topology does not accept a rebuild: its basis is gone (H3).
var ErrStartOver = errors.New("handoff: the copies are outdated")
