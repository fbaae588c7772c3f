package handoff

import (
	"context"
	"slices"
	"time"

	"go.uber.org/zap"

	"viakv/quorum/replica"
	"viakv/ring/keyspace"
)

// barrier runs the sync barrier that this node owes after a change of size. By digests, it merges
// what is newer at as many of the named members as the change asks for. Each of them answers at the
// change's epoch or later (M6). barrier returns true once the topology has taken the report.
//
// A member that has lost its memory after the change is active again only when it has rebuilt from
// all others (M3). So any active member that has the name of a slot counts for it.
func (d *Driver) barrier(ctx context.Context, v *replica.View) bool {
	b := v.Barrier
	var merged []string
	if slices.Contains(b.From, v.Me().Name) {
		merged = append(merged, v.Me().Name)
	}
	progress := newProgress("barrier")
	d.own.Store(progress)
	defer d.own.Store(nil)
	wait := firstRest
	for ctx.Err() == nil {
		if v.Barrier == nil || v.Barrier.Change != b.Change || !v.Me().Active() {
			return false
		}
		// Merge from members that are still missing, one after another.
		for _, name := range b.From {
			m := named(v, name)
			if len(merged) >= b.Need || slices.Contains(merged, name) || m == nil || !m.Active() {
				continue
			}
			s := &session{d: d, v: v, with: m, progress: progress}
			if err := s.compare(ctx, keyspace.All()); err != nil {
				if !v.Over() && ctx.Err() == nil {
					d.cfg.Logger.Warn("the barrier's sync with a member failed; it is repeated", zap.String("member", name), zap.Error(err))
				}
				continue
			}
			merged = append(merged, name)
			progress.add(1/float64(b.Need), 0, 0)
		}
		// Report the barrier once enough members are merged.
		if len(merged) >= b.Need {
			err := d.cfg.Topology.BarrierDone(ctx, b.Change)
			if err == nil {
				d.cfg.Logger.Info("barrier done", zap.Uint64("change", uint64(b.Change)), zap.Strings("merged", merged))
				return true
			}
			if ctx.Err() == nil {
				d.cfg.Logger.Warn("the topology did not take the barrier's report; it is repeated", zap.Error(err))
			}
		}
		select {
		// A new view may end the barrier, or bring members back.
		case <-v.Superseded:
			v = d.cfg.Views.Current()
		case <-time.After(wait):
			wait = min(2*wait, longestRest)
		case <-ctx.Done():
		}
	}
	return false
}
