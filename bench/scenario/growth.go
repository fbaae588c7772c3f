package scenario

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"viakv/api/client"
	"viakv/bench/chaos"
	"viakv/bench/load"
	"viakv/bench/report"
	"viakv/bench/runner"
)

// Growth measures how a cluster behaves as it grows. For each number of keys it founds a new
// cluster, fills it, reads, writes and scans. The Spec says which keys, connections and times to
// use.
func Growth(ctx context.Context, s Spec, sizes []uint64, tools Tools, events Events) (*report.Report, error) {
	s.Scenario, s.Targets = "load", []string{"http://127.0.0.1:1"} // the targets of each cluster come later
	if err := s.Validate(); err != nil {
		return nil, err
	}
	if len(sizes) == 0 {
		return nil, errors.New("no size: give numbers of keys as in 10k,100k,1M")
	}
	binary, remove, err := viakv(ctx, s, tools, events)
	if err != nil {
		return nil, err
	}
	defer remove()
	began := time.Now()
	s.Scenario = "growth"
	r := s.begin(fmt.Sprintf("growth from %s to %s keys on %d nodes", report.Count(sizes[0]), report.Count(sizes[len(sizes)-1]), s.Nodes), began, tools)
	for _, keys := range sizes {
		g, err := grow(ctx, s, keys, binary, r, events)
		if err != nil && len(r.Growth) == 0 {
			return nil, fmt.Errorf("with %s keys: %w", report.Count(keys), err)
		}
		if err != nil { // what was measured before stays in the report
			r.Fail("with %s keys: %v", report.Count(keys), err)
			break
		}
		r.Growth = append(r.Growth, g)
		events.log("%s keys: load %.1f s (%s/s), %.0f bytes a key, get %s/s, set %s/s, getAll %.2f s", report.Count(keys), g.LoadSeconds,
			report.Count(int64(g.LoadRate)), g.BytesPerKey, report.Count(int64(g.GetRate)), report.Count(int64(g.SetRate)), g.ScanSeconds)
	}
	r.Seconds = time.Since(began).Seconds()
	return r, nil
}

// grow measures one number of keys, on a cluster of its own.
func grow(ctx context.Context, s Spec, keys uint64, binary string, r *report.Report, events Events) (g report.Growth, err error) {
	if err := roomFor(keys, s.Nodes); err != nil {
		return g, err
	}
	// Found the cluster, and connect to it.
	events.log("%s keys: founding %d nodes", report.Count(keys), s.Nodes)
	logs, err := os.MkdirTemp("", "viakv-growth-")
	if err != nil {
		return g, err
	}
	c, err := chaos.StartCalm(ctx, binary, logs, s.Nodes)
	if err != nil {
		return g, err
	}
	defer func() {
		c.Close()
		if err == nil {
			_ = os.RemoveAll(logs)
		}
	}()
	s.Keys, s.Targets = keys, c.Endpoints()
	u, err := prepare(ctx, s)
	if err != nil {
		return g, err
	}
	defer u.client.Close()
	u.events = Events{Log: events.Log, Progress: events.Progress}
	r.Environment.Target = u.version
	// Fill it. The empty processes' memory is not part of the memory of a key.
	empty := c.Memory()
	filled := report.New("load", "", time.Now(), nil)
	u.SkipCheck = true // the scan below checks the same, and is measured
	if err := u.load(ctx, filled); err != nil {
		return g, err
	}
	if err := stopped(ctx); err != nil {
		return g, err
	}
	if !filled.Passed {
		return g, errors.New(filled.Reason)
	}
	g = report.Growth{Keys: keys, LoadSeconds: filled.Load.Seconds, LoadRate: filled.Load.Throughput, BytesPerKey: (c.Memory() - empty) / float64(keys)}
	// Measure gets, then sets, and at last a scan of all keys.
	for _, m := range []struct {
		mix  string
		rate *float64
		p99  *int64
	}{{"get=1", &g.GetRate, &g.GetP99}, {"set=1", &g.SetRate, &g.SetP99}} {
		one := *u
		events.log("%s keys: measuring %s for %v", report.Count(keys), m.mix, time.Duration(u.Duration))
		one.Mix, one.Distribution, one.Rate, one.Pipeline = m.mix, "uniform", 0, 1
		config, err := one.mixed()
		if err != nil {
			return g, err
		}
		result, err := runner.Run(ctx, config)
		if err != nil {
			return g, err
		}
		if err := stopped(ctx); err != nil {
			return g, err
		}
		*m.rate, *m.p99 = result.Throughput(), result.All().ValueAtPercentile(99)
		g.Missing, g.Refused, g.Failed = g.Missing+result.Missing, g.Refused+result.Errors.Refused, g.Failed+result.Errors.Failures()
		one.judgeLoad(r, fmt.Sprintf("%s of %s keys: ", m.mix, report.Count(keys)), report.FromResult(result))
	}
	v := load.Verify(ctx, u.client, client.ScanAll, load.ScanOptions{Keys: u.keys, Expected: keys, Progress: func(pairs int64) {
		u.events.progress("scan", uint64(pairs), keys)
	}})
	if err := stopped(ctx); err != nil {
		return g, err
	}
	complete(r, v)
	g.ScanSeconds, g.ScanMBPerSec = v.Seconds, v.MBPerSecond()
	return g, nil
}

// stopped returns an error when a measurement was cut short, because its figures then mean nothing.
func stopped(ctx context.Context) error {
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return errors.New("the time for the whole series was over; give it more, or fewer keys")
	case ctx.Err() != nil:
		return errors.New("stopped before its end")
	}
	return nil
}

// roomPerKey is the memory that a node needs for a key while it is written, in bytes, with a
// reserve: 150 bytes stay, and the tables grow in steps.
const roomPerKey = 300

// roomFor returns an error for a size that this machine cannot hold, before the system kills a
// process.
func roomFor(keys uint64, nodes int) error {
	available, known := report.AvailableMemory()
	if need := keys * uint64(nodes) * roomPerKey; known && need > available {
		return fmt.Errorf("%d nodes need about %s MiB of memory for them, and %s MiB are free: measure fewer keys, or on fewer nodes", nodes,
			report.Count(need>>20), report.Count(available>>20))
	}
	return nil
}
