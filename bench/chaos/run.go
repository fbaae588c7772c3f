package chaos

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"viakv/api/sleep"
	"viakv/bench/check"
)

// Config describes a run.
type Config struct {
	Binary  string // path of the viakv program
	LogDir  string // for the nodes' logs; empty: a new temporary directory
	Nodes   int
	Faults  []string // of allKinds; empty: all
	Timeout time.Duration
	PerKey  time.Duration // limit for the check of one key

	// Recording is how the clients record; Run sets its Endpoints.
	Recording check.Config
	Log       func(format string, args ...any)
	Progress  func(phase string, done, total uint64)
}

// Result is the outcome of a run.
type Result struct {
	Chaos   *check.Chaos
	Check   *check.Verdict
	Unread  int      // reads of the audit that failed, although everything was healed
	Crashes []string // processes that ended although they should run
	Logs    string   // directory of the nodes' logs
}

const (
	foundedWithin = 30 * time.Second
	healedWithin  = 90 * time.Second
)

// Run founds a cluster, records a history while faults are injected, heals, and decides.
func Run(ctx context.Context, c Config) (*Result, error) {
	for _, kind := range c.Faults {
		if !slices.Contains(allKinds, kind) {
			return nil, fmt.Errorf("fault %q: choose of %s", kind, strings.Join(allKinds, ", "))
		}
	}
	logs, err := logsIn(c.LogDir)
	if err != nil {
		return nil, err
	}
	lab, err := StartLab(ctx, c.Binary, logs, c.Nodes, c.Timeout)
	if err != nil {
		return nil, err
	}
	defer lab.Close()
	c.Log("a cluster of %d nodes is up; their logs are in %s", c.Nodes, logs)

	// Record a history while the nemesis injects faults.
	recording := c.Recording
	for i := range c.Nodes {
		recording.Endpoints = append(recording.Endpoints, lab.Client(i))
	}
	n := &nemesis{Lab: lab, kinds: c.Faults, survives: survivable(c.Nodes), start: time.Now(), log: c.Log, seed: recording.Seed}
	breaking, heal := context.WithCancel(ctx)
	defer heal()
	var nemesisRuns sync.WaitGroup
	nemesisRuns.Go(func() { n.run(breaking) })
	history := check.Record(ctx, recording)
	recorded := history.Elapsed()
	heal()
	nemesisRuns.Wait()

	// Describe the faults, and what clients saw while they lasted.
	r := &Result{Chaos: &check.Chaos{Seed: recording.Seed, Nodes: c.Nodes, Seconds: recorded.Seconds(), Unresolved: n.stuck}, Logs: logs}
	for _, f := range n.faults {
		r.Chaos.Faults = append(r.Chaos.Faults, *f)
	}
	var longest, bearable time.Duration
	spans := beyond(r.Chaos.Faults, c.Nodes)
	r.Chaos.Buckets, longest, bearable = history.Availability(recorded, spans)
	r.Chaos.Longest, r.Chaos.Bearable = longest.Seconds(), bearable.Seconds()
	for _, s := range spans {
		r.Chaos.Beyond += (s.To - s.From).Seconds()
	}
	// Heal, and read every key at every node; then check the history.
	if ctx.Err() == nil {
		r.heal(ctx, lab, c)
		r.Unread = history.Audit(ctx, recording.Endpoints, func(done, total uint64) { c.Progress("audit", done, total) })
	}
	r.Crashes = lab.Crashes()
	r.Check = history.Check(ctx, c.PerKey, func(done, total uint64) { c.Progress("search", done, total) })
	r.Check.Clients, r.Check.Seconds = recording.Clients, recorded.Seconds()
	return r, nil
}

// heal ends all faults and waits until the members agree, with equal contents (X4).
func (r *Result) heal(ctx context.Context, lab *Lab, c Config) {
	c.Log("healing")
	lab.Calm()
	for i := range c.Nodes {
		lab.Resume(i)
		_ = lab.Start(i) // fails for a node that runs, as it should
	}
	if err := lab.Settle(ctx, healedWithin); err != nil {
		r.Chaos.Unresolved = err.Error()
		return
	}
	for deadline := time.Now().Add(healedWithin); ; {
		r.Chaos.Digests, r.Chaos.Converged = lab.Digests(ctx)
		if r.Chaos.Converged || ctx.Err() != nil || time.Now().After(deadline) {
			break
		}
		sleep.For(ctx, pollEvery)
	}
	if !r.Chaos.Converged {
		r.Chaos.Unresolved = "the members' contents still differ: " + strings.Join(r.Chaos.Digests, ", ")
	}
}

func joinLines(lines []string) error {
	if len(lines) == 0 {
		return nil
	}
	return errors.New(strings.Join(lines, "\n"))
}
