package handoff

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"viakv/quorum/replica"
)

// outcome is the end of a task.
type outcome struct {
	task  task
	err   error
	moved bool // the task's epoch was over
}

// rebuild copies what this node must hold before it may count, and reports that to the topology. It
// returns when the topology has taken the report, when this node is not rebuilding any more, or
// when ctx ends.
//
// One goroutine decides, by the plan. Each task is a goroutine that ends in an outcome.
func (d *Driver) rebuild(ctx context.Context, v *replica.View) {
	tasks, cancel := context.WithCancel(ctx)
	p := newPlan(v)
	ends := make(chan outcome)
	running := 0
	progress := newProgress("rebuild")
	if v.Self >= v.Slots {
		progress.kind = "join"
	}
	d.own.Store(progress)
	defer func() {
		cancel()
		for ; running > 0; running-- {
			<-ends
		}
		d.own.Store(nil)
	}()
	d.cfg.Logger.Info("rebuild begins", zap.Uint64("epoch", uint64(v.Epoch)), zap.Int("copies", p.need), zap.Int("sources", len(p.sources)))
	retry := firstRest
	for {
		if progress.setCopies(p.need, len(p.sources)) && p.short() > 0 {
			d.cfg.Logger.Error("the rebuild waits for more active members: writes may be lost with those that are not active",
				zap.Int("copies", p.need), zap.Int("sources", len(p.sources)))
		}
		// Start every task that the plan allows now.
		var wait time.Duration
		for {
			t, ok, rest := p.next(time.Now())
			if !ok {
				wait = rest
				break
			}
			running++
			at, need := v, p.need
			go func() {
				err := d.merge(tasks, at, t, progress, need)
				ends <- outcome{t, err, at.Over()}
			}()
		}
		// Report the rebuild once every partition has been merged often enough.
		if p.done() && p.short() == 0 {
			err := d.cfg.Topology.Rebuilt(ctx, p.basis)
			switch {
			case err == nil:
				d.finished(progress)
				d.awaitActive(ctx, v)
				return
			case ctx.Err() != nil:
				return
			case errors.Is(err, ErrStartOver):
				d.stats.startOvers.Add(1)
				progress.restart()
				v = d.cfg.Views.Current()
				p.begin(v)
				continue
			}
			d.cfg.Logger.Warn("the rebuild is complete, but the topology did not take the report; the report is repeated", zap.Error(err))
			wait = retry
			retry = min(2*retry, longestRest)
		}
		// Wait for a task that ends, a new view, or the time of the next attempt.
		var timer <-chan time.Time
		if wait > 0 {
			timer = time.After(wait)
		}
		select {
		case e := <-ends:
			running--
			p.end(e.task, e.err, e.moved, time.Now())
			if e.err != nil && !e.moved && ctx.Err() == nil {
				d.cfg.Logger.Warn("a source of the rebuild failed; its partitions are merged from others", zap.String("source", e.task.from.Name),
					zap.Int("partition", int(e.task.partition)), zap.Error(e.err))
			}
		case <-v.Superseded:
			v = d.cfg.Views.Current()
			if v.Me().Holder() != p.self || v.Me().Active() {
				return
			}
			if !p.follow(v) {
				d.stats.startOvers.Add(1)
				progress.restart()
				d.cfg.Logger.Info("the rebuild starts over: the topology no longer agrees with its basis", zap.Uint64("epoch", uint64(v.Epoch)))
			}
		case <-timer:
		case <-ctx.Done():
			return
		}
	}
}

// merge carries out one task.
func (d *Driver) merge(ctx context.Context, v *replica.View, t task, p *progress, need int) error {
	r := t.partition.Whole()
	s := &session{d: d, v: v, with: t.from, progress: p, weight: 1 / float64(need)}
	if t.copy {
		return s.copyRange(ctx, r)
	}
	if err := s.compare(ctx, r); err != nil {
		return err
	}
	p.add(portion(r)*s.weight, 0, 0)
	return nil
}

func (d *Driver) finished(p *progress) {
	d.stats.rebuilds.Add(1)
	s := p.sync(time.Now())
	d.cfg.Logger.Info("rebuilt", zap.Int64("keys", s.Keys), zap.Int64("bytes", s.Bytes), zap.Duration("took", time.Since(p.began)))
}

// awaitActive waits for the view that follows from an accepted report.
func (d *Driver) awaitActive(ctx context.Context, v *replica.View) {
	for v.Me().Holder() != 0 && !v.Me().Active() {
		select {
		case <-v.Superseded:
			next := d.cfg.Views.Current()
			if next.Me().Holder() != v.Me().Holder() {
				return
			}
			v = next
		case <-time.After(longestRest): // the report may be lost with a leader: make it again
			return
		case <-ctx.Done():
			return
		}
	}
}
