package handoff

import (
	"context"

	"go.uber.org/zap"

	"viakv/ring/keyspace"
)

// check recomputes the digest of one bucket after another. A digest that has drifted would hide a
// difference between replicas for ever. That is a bug, so it is logged as an error.
func (d *Driver) check(ctx context.Context) {
	if d.cfg.CheckEvery < 0 {
		return
	}
	var at keyspace.Rank
	for rest(ctx, d.cfg.CheckEvery) == nil {
		bucket, drift := d.cfg.Views.Current().Store.Check(at)
		d.stats.checked.Add(1)
		if drift != nil {
			d.stats.drift.Add(1)
			d.cfg.Logger.Error("a digest has drifted from its records: this is a bug, please report it; restart this node to make it copy the data anew",
				zap.Uint64("rank", uint64(at)), zap.Error(drift))
		}
		at = bucket.To
	}
}
