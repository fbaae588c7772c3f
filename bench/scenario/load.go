package scenario

import (
	"context"
	"errors"
	"fmt"
	"time"

	"viakv/api/client"
	"viakv/bench/baseline"
	"viakv/bench/load"
	"viakv/bench/report"
	"viakv/bench/runner"
	"viakv/bench/workload"
)

func (u *setup) load(ctx context.Context, r *report.Report) error {
	c := load.Config{Config: u.runner(), Count: u.Keys, Client: u.client, Resume: u.Resume, SkipCheck: u.SkipCheck}
	// A load is as fast as it can be, and ends with its last key.
	c.Rate, c.Ramp, c.Warmup, c.Duration = 0, 0, 0, 0
	c.Progress = func(done, total uint64) { u.events.progress("load", done, total) }
	c.OnCheck = func(pairs int64) { u.events.progress("check", uint64(pairs), u.Keys) }
	result, err := load.Run(ctx, c)
	if err != nil {
		return err
	}
	r.AddLoad(result.Result)
	u.events.log("%s keys written, %s found, in %d rounds", report.Count(result.Written), report.Count(result.Found), result.Rounds)
	if result.Found+result.Written < u.Keys {
		r.Fail("%s of %s keys were not written", report.Count(u.Keys-result.Found-result.Written), report.Count(u.Keys))
	}
	if result.Check != nil {
		r.Scans = append(r.Scans, result.Check)
		complete(r, result.Check)
	}
	return nil
}

func complete(r *report.Report, v *load.Verified) {
	switch {
	case v.Error != "":
		r.Fail("%s failed: %s", v.Kind, v.Error)
	case !v.Complete():
		r.Fail("%s: %d keys missing, %d wrong, %d twice", v.Kind, v.Missing, v.Wrong, v.Twice)
	}
}

func (u *setup) run(ctx context.Context, r *report.Report) error {
	c, err := u.mixed()
	if err != nil {
		return err
	}
	if u.Baseline > 0 {
		return u.alternate(ctx, c, r)
	}
	result, err := runner.Run(ctx, c)
	if err != nil {
		return err
	}
	r.AddLoad(result)
	u.judge(r)
	return nil
}

// alternate measures the target in turns with the baseline.
func (u *setup) alternate(ctx context.Context, c runner.Config, r *report.Report) error {
	nodes, config, err := u.bare(ctx, len(u.Targets))
	if err != nil {
		return err
	}
	defer nodes.Close()
	b := c
	if b.Targets, err = runner.NewHTTP(config, client.Options{}); err != nil {
		return err
	}
	c.Duration = max(c.Duration/time.Duration(u.Baseline), time.Second)
	b.Duration = c.Duration
	u.events.log("%d rounds of %v for the target and the baseline each", u.Baseline, c.Duration)
	a, err := baseline.Alternate(ctx, c, b, u.Baseline)
	if err != nil {
		return err
	}
	r.AddLoad(a.Target)
	r.Baseline = &report.Baseline{Load: report.FromResult(a.Baseline), Ratios: a.Ratios, Ratio: a.Ratio}
	u.judge(r)
	u.judgeLoad(r, "the baseline is no measure: ", r.Baseline.Load)
	return nil
}

// bare starts n servers of the baseline and fills them.
func (u *setup) bare(ctx context.Context, n int) (nodes *baseline.Cluster, config client.Config, err error) {
	if nodes, err = baseline.Start(ctx, u.tools.Baseline, n); err != nil {
		return nil, config, err
	}
	config = client.Config{Endpoints: nodes.Endpoints, Timeout: time.Duration(u.Timeout)}
	c := u.runner()
	if c.Targets, err = runner.NewHTTP(config, client.Options{}); err == nil {
		err = u.fill(ctx, c)
	}
	if err != nil {
		nodes.Close()
		return nil, config, fmt.Errorf("filling the baseline: %w", err)
	}
	return nodes, config, nil
}

// fill writes all keys to each target on its own, because the nodes of the baseline know nothing of
// each other.
func (u *setup) fill(ctx context.Context, c runner.Config) error {
	for _, t := range c.Targets {
		one := c
		one.Targets, one.Rate, one.Warmup, one.Ramp, one.Duration, one.Pipeline, one.OnSample = []runner.Target{t}, 0, 0, 0, runner.MaxDuration, 64, nil
		one.Connections = min(c.Connections, 8)
		one.Sources = workload.FirstKeys(u.Keys)
		result, err := runner.Run(ctx, one)
		if err != nil {
			return err
		}
		if n := result.Errors.Sum(); n > 0 {
			return fmt.Errorf("%d errors", n)
		}
	}
	return ctx.Err()
}

func (u *setup) findMax(ctx context.Context, r *report.Report) error {
	c, err := u.mixed()
	if err != nil {
		return err
	}
	objective, err := runner.ParseObjective(u.Objective)
	if err != nil {
		return err
	}
	best, steps, err := runner.FindMax(ctx, c, runner.Search{Objective: objective, StepTime: time.Duration(u.Duration), Tolerated: u.MaxErrors / 100, OnStep: func(s runner.Step) {
		u.events.log("%s/s asked, %s/s answered, p99 %s: %s", report.Count(int64(s.Rate)), report.Count(int64(s.Achieved)), report.Micros(s.P99), s.Verdict())
	}})
	if err != nil {
		return err
	}
	r.Steps = steps
	if best == nil {
		r.Fail("no rate met %s", objective)
		return nil
	}
	r.AddLoad(best)
	u.judge(r)
	return nil
}

func (u *setup) scan(ctx context.Context, r *report.Report) error {
	kinds, err := u.kinds()
	if err != nil {
		return err
	}
	if len(kinds) == 0 {
		return errors.New("no scan: name getAll, getKeys or getValues")
	}
	// Describe the scans; the load beside them and the baseline are optional.
	m := load.ScanConfig{Client: u.client, Kinds: kinds, Rounds: u.Rounds, OnScan: func(v *load.Verified) {
		u.events.log("%s: %s pairs in %.2f s, %.1f MB/s", v.Kind, report.Count(v.Pairs), v.Seconds, v.MBPerSecond())
	}}
	m.ScanOptions = load.ScanOptions{Keys: u.keys, PageSize: u.PageSize, Progress: func(pairs int64) { u.events.progress("scan", uint64(pairs), u.Keys) }}
	if !u.SkipCheck {
		m.Expected = u.Keys
	}
	if u.Beside > 0 {
		c, err := u.mixed()
		if err != nil {
			return err
		}
		c.Rate = u.Beside
		m.Load = &c
	}
	if u.Baseline > 0 {
		nodes, config, err := u.bare(ctx, 1) // a scan asks one node
		if err != nil {
			return err
		}
		defer nodes.Close()
		if m.Baseline, err = client.New(config); err != nil {
			return err
		}
		defer m.Baseline.Close()
		m.Rounds = u.Baseline
	}
	result, err := load.Measure(ctx, m)
	if err != nil {
		return err
	}
	// A scan that is not complete fails the run. An incomplete scan of the baseline is an error,
	// because nothing can be compared with it.
	r.Scans = result.Scans
	for _, v := range result.Scans {
		complete(r, v)
	}
	for _, v := range result.Baseline {
		if !v.Complete() && ctx.Err() == nil {
			return fmt.Errorf("the baseline's %s is no measure: %d keys missing %s", v.Kind, v.Missing, v.Error)
		}
	}
	if ratios := result.Ratios(); len(ratios) > 0 {
		r.Baseline = &report.Baseline{Scans: result.Baseline, Ratios: ratios, Ratio: baseline.Median(ratios)}
	}
	if result.Quiet != nil && result.During != nil {
		r.Beside = &report.Beside{Quiet: report.FromResult(result.Quiet), During: report.FromResult(result.During)}
		u.judgeLoad(r, "the load without scans: ", r.Beside.Quiet)
		u.judgeLoad(r, "the load beside scans: ", r.Beside.During)
	}
	return nil
}
