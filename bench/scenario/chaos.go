package scenario

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"viakv/bench/chaos"
	"viakv/bench/report"
)

func runChaos(ctx context.Context, s Spec, tools Tools, events Events) (*report.Report, error) {
	binary, remove, err := viakv(ctx, s, tools, events)
	if err != nil {
		return nil, err
	}
	defer remove()
	began := time.Now()
	r := s.begin(fmt.Sprintf("chaos on %d nodes for %v, seed %d", s.Nodes, time.Duration(s.Duration), s.Seed), began, tools)
	result, err := chaos.Run(ctx, chaos.Config{
		Binary: binary, LogDir: s.LogDir, Nodes: s.Nodes, Faults: s.Faults, Timeout: time.Duration(s.Timeout), PerKey: perKey,
		Recording: s.recording(nil, events), Log: events.log, Progress: events.progress,
	})
	if err != nil {
		return nil, err
	}
	r.Chaos, r.Check, r.Seconds = result.Chaos, result.Check, time.Since(began).Seconds()
	r.Environment.Target = binary
	judgeCheck(r, result.Check)
	if result.Unread > 0 {
		r.Fail("%d reads failed after everything was healed", result.Unread)
	}
	for _, crash := range result.Crashes {
		r.Fail("%s", crash)
	}
	switch {
	case ctx.Err() != nil:
		r.Fail("stopped before its end")
	case !result.Chaos.Converged:
		r.Fail("the cluster did not come together again: %s", result.Chaos.Unresolved)
	}
	switch {
	case !r.Passed:
		r.Warnings = append(r.Warnings, "the nodes' logs are in "+result.Logs)
	case s.LogDir == "":
		// The run made this directory, and no message names it.
		_ = os.RemoveAll(result.Logs)
	}
	return r, nil
}

// viakv finds the viakv program: the one named, the one beside this program, or one built from the
// source that is here.
func viakv(ctx context.Context, s Spec, tools Tools, events Events) (path string, remove func(), err error) {
	remove = func() {}
	for _, path := range []string{s.Binary, tools.Viakv} {
		if path != "" {
			if _, err := os.Stat(path); err != nil {
				return "", remove, fmt.Errorf("the viakv binary: %w", err)
			}
			return path, remove, nil
		}
	}
	dir, err := os.MkdirTemp("", "viakv-build-")
	if err != nil {
		return "", remove, err
	}
	remove = func() { _ = os.RemoveAll(dir) }
	path = filepath.Join(dir, "viakv")
	events.log("building viakv")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", path, "viakv/cmd/viakv").CombinedOutput(); err != nil {
		remove()
		return "", func() {}, errors.Join(fmt.Errorf("no viakv binary was named, none lies beside this program, and it cannot be built here: %w", err), errors.New(string(out)))
	}
	return path, remove, nil
}
