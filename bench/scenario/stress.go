package scenario

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"viakv/bench/chaos"
	"viakv/bench/report"
	"viakv/bench/runner"
)

// Stress founds a cluster of its own, fills it, runs the mix on it with all values compared, and
// scans it. So one short run shows most of a cluster, and none has to run already.
func Stress(ctx context.Context, s Spec, tools Tools, events Events) (*report.Report, error) {
	s.Scenario, s.Targets = "run", []string{"http://127.0.0.1:1"} // the targets of the cluster come later
	if err := s.Validate(); err != nil {
		return nil, err
	}
	if err := roomFor(s.Keys, s.Nodes); err != nil {
		return nil, err
	}
	binary, remove, err := viakv(ctx, s, tools, events)
	if err != nil {
		return nil, err
	}
	defer remove()
	began := time.Now()
	events.log("founding %d nodes", s.Nodes)
	logs, err := os.MkdirTemp("", "viakv-stress-")
	if err != nil {
		return nil, err
	}
	c, err := chaos.StartCalm(ctx, binary, logs, s.Nodes)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	s.Scenario, s.Targets = "stress", c.Endpoints()
	r := s.begin(fmt.Sprintf("stress of mix %s on %s keys, %d nodes", s.Mix, report.Count(s.Keys), s.Nodes), began, tools)
	if err := stress(ctx, s, tools, events, r); err != nil {
		return nil, errors.Join(err, fmt.Errorf("the nodes' logs are in %s", logs))
	}
	if ctx.Err() != nil {
		r.Fail("stopped before its end")
	}
	r.Seconds = time.Since(began).Seconds()
	if !r.Passed {
		r.Warnings = append(r.Warnings, "the nodes' logs are in "+logs)
		return r, nil
	}
	_ = os.RemoveAll(logs) // the run made this directory, and no message names it
	return r, nil
}

func stress(ctx context.Context, s Spec, tools Tools, events Events, r *report.Report) error {
	u, err := prepare(ctx, s)
	if err != nil {
		return err
	}
	defer u.client.Close()
	u.tools, u.events, r.Environment.Target = tools, events, u.version
	filled, fill := report.New("load", "", time.Now(), nil), *u
	fill.Pipeline, fill.events.Sample = max(s.Pipeline, loadPipeline), nil
	if err := fill.load(ctx, filled); err != nil {
		return err
	}
	if !filled.Passed {
		r.Fail("filling the cluster: %s", filled.Reason)
		return nil
	}
	u.Verify = true
	config, err := u.mixed()
	if err != nil {
		return err
	}
	result, err := runner.Run(ctx, config)
	if err != nil {
		return err
	}
	r.AddLoad(result)
	u.judge(r)
	if ctx.Err() != nil {
		return nil
	}
	return u.scan(ctx, r)
}

// loadPipeline is the least number of sets that a load has in flight on each connection.
const loadPipeline = 16
