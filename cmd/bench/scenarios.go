package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/spf13/cobra"

	"viakv/bench/baseline"
	"viakv/bench/report"
	"viakv/bench/scenario"
	"viakv/cmd/cliutil"
)

// scenarioCommands returns a command for each scenario.
func scenarioCommands() []*cobra.Command {
	return []*cobra.Command{
		scenarioCommand("load", "Fill a cluster with keys and check that all are there",
			"Writes the first keys of the key space as fast as it can, repeats what failed, and reads everything back.\nWith --resume only what is missing is written.",
			func(c *cobra.Command, s *scenario.Spec) {
				s.Pipeline, s.Keys = 16, 1_000_000
				f := c.Flags()
				f.BoolVar(&s.Resume, "resume", false, "look first what is there already, and write the rest")
				f.BoolVar(&s.SkipCheck, "skip-check", false, "leave out the scan at the end")
			}, targetFlags, keyFlags, connectionFlags),
		scenarioCommand("run", "Measure throughput and latency under a mix of requests",
			"With --rate it is an open loop: requests are sent when they are due, and latency counts from then, as users see it.\nWithout, it is a closed loop, which finds the throughput and flatters the latency.\nThroughput and latency are of answered requests. A run with more than --max-errors or --max-misses beside these does not pass.",
			func(c *cobra.Command, s *scenario.Spec) {
				var findMax bool
				f := c.Flags()
				f.BoolVar(&findMax, "find-max", false, "look for the highest rate that meets --slo instead: the same as bench find-max")
				f.StringVar(&s.Objective, "slo", s.Objective, "with --find-max: the objective, as in p99<5ms or p99.9<20ms")
				c.PreRunE = func(*cobra.Command, []string) error {
					switch {
					case !findMax && f.Changed("slo"):
						return cliutil.Usagef("--slo is for the search of --find-max: give both, or neither")
					case findMax && (s.Rate != 0 || s.Baseline != 0 || len(s.Against) > 0):
						return cliutil.Usagef("--find-max chooses the rates itself: leave out --rate, --baseline and --against")
					case findMax:
						s.Scenario = "find-max"
					}
					if findMax && !f.Changed("duration") {
						s.Duration = scenario.Default("find-max").Duration / 2
					}
					return nil
				}
			}, targetFlags, keyFlags, connectionFlags, mixFlags, rateFlags),
		scenarioCommand("find-max", "Find the highest rate at which latency keeps to an objective", "",
			func(c *cobra.Command, s *scenario.Spec) {
				s.Duration = scenario.Default("find-max").Duration / 2
				c.Flags().StringVar(&s.Objective, "slo", s.Objective, "the objective, as in p99<5ms or p99.9<20ms")
				c.Flags().BoolVar(&s.Poisson, "poisson", false, "random arrivals, as of independent users")
			}, targetFlags, keyFlags, connectionFlags, mixFlags),
		scenarioCommand("scan", "Measure getAll, getKeys and getValues, and check that they are complete", "",
			func(c *cobra.Command, s *scenario.Spec) {
				f := c.Flags()
				f.StringSliceVar(&s.Scans, "scans", s.Scans, "which")
				f.IntVar(&s.PageSize, "page-size", 0, "fetch pages of so many pairs (0: one stream)")
				f.IntVar(&s.Rounds, "rounds", s.Rounds, "how often each")
				f.IntVar(&s.Baseline, "baseline", 0, "also scan a bare server on this machine, in turns of this many rounds instead of --rounds, and print the ratio")
				f.Float64Var(&s.Beside, "beside", 0, "rate of a load that runs beside the scans, to see what they do to others")
				f.BoolVar(&s.SkipCheck, "skip-check", false, "do not expect the keys of the key space")
			}, targetFlags, keyFlags, connectionFlags, mixFlags),
		scenarioCommand("check", "Check that a running cluster is linearizable",
			"Clients record what they ask and what they are told, on keys of their own (prefix check-); then a search decides for every key\nwhether one register could have answered so.",
			hotDefaults, targetFlags, proofFlags),
		scenarioCommand("chaos", "Start a cluster, break it in every way it must survive, and check it", chaosLong,
			func(c *cobra.Command, s *scenario.Spec) {
				s.Duration *= 3
				s.ClearEvery = s.Duration / 3
				f := c.Flags()
				f.StringSliceVar(&s.Faults, "faults", nil, "only these kinds: kill, term, pause, cut, isolate, delay, reset, leave, join (default: all)")
				f.StringVar(&s.LogDir, "log-dir", "", "where the nodes' logs go (default: beside the report, or a temporary directory)")
				hotDefaults(c, s)
			}, clusterFlags, proofFlags),
	}
}

// hotDefaults sets the defaults of hot keys: they live longer, and more clients ask for them.
func hotDefaults(c *cobra.Command, s *scenario.Spec) {
	c.PreRun = func(*cobra.Command, []string) {
		if s.Hot && !c.Flags().Changed("ops-per-key") {
			s.OpsPerKey = 10_000
		}
		if s.Hot && !c.Flags().Changed("clients") {
			s.Clients = 12
		}
	}
}

const chaosLong = `Starts real processes, with a breakable network between every ordered pair of them. While clients record a history, nodes are killed and
restarted, told to stop, paused and continued, cut off in one direction or both, slowed down, made to leave and join; at most so many are down at once
as the cluster promises to survive. In the end everything is healed, the cluster must come together again, and the history must be linearizable.
The exit status is 0 only then.`

func scenarioCommand(name, short, long string, more func(*cobra.Command, *scenario.Spec), groups ...group) *cobra.Command {
	s := scenario.Default(name)
	var o outputs
	cmd := &cobra.Command{
		Use: name, Short: short, Long: long, Args: cliutil.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := s.Validate(); err != nil {
				return cliutil.Usage(err)
			}
			return runScenario(cmd, scenario.Run, s, o)
		},
	}
	if long == "" {
		cmd.Long = short + "."
	}
	if more != nil {
		more(cmd, &s)
	}
	for _, g := range groups {
		g(cmd.Flags(), &s)
	}
	o.flags(cmd.Flags())
	return cmd
}

// scenarioRun runs a scenario: scenario.Run, scenario.Stress or scenario.Gaps.
type scenarioRun func(context.Context, scenario.Spec, scenario.Tools, scenario.Events) (*report.Report, error)

// runScenario runs a scenario, shows its progress, and keeps the report.
func runScenario(cmd *cobra.Command, run scenarioRun, s scenario.Spec, o outputs) error {
	tools, err := findTools()
	if err != nil {
		return err
	}
	events, closeScreen := o.watch(cmd.OutOrStdout(), cmd.ErrOrStderr())
	defer closeScreen()
	r, err := run(cmd.Context(), s, tools, events)
	if err != nil {
		return err
	}
	return finish(r, o, cmd.OutOrStdout())
}

// finish prints a report and keeps it. It returns an error when the run did not pass.
func finish(r *report.Report, o outputs, out io.Writer) error {
	fmt.Fprintln(out)
	if err := r.WriteText(out); err != nil {
		return err
	}
	if o.dir != "" {
		name := o.name
		if name == "" {
			name = r.Scenario + "-" + r.Started.Format("20060102-150405")
		}
		files, err := r.Save(o.dir, name)
		if err != nil {
			return err
		}
		for _, f := range files {
			fmt.Fprintln(out, "wrote", f)
		}
	}
	if !r.Passed {
		return errNotPassed
	}
	return nil
}

// findTools returns this program as the server of the baseline. It names viakv and the program for
// neighbours if they lie beside this program; the latter may also be on the PATH.
func findTools() (scenario.Tools, error) {
	self, err := os.Executable()
	if err != nil {
		return scenario.Tools{}, err
	}
	tools := scenario.Tools{Baseline: baseline.Command{Path: self, Args: []string{"baseline"}}}
	if beside := filepath.Join(filepath.Dir(self), "viakv"); isProgram(beside) {
		tools.Viakv = beside
	}
	if beside := filepath.Join(filepath.Dir(self), scenario.AgainstName); isProgram(beside) {
		tools.Against = beside
	} else if path, err := exec.LookPath(scenario.AgainstName); err == nil {
		tools.Against = path
	}
	tools.Commit = commit
	return tools, nil
}

func isProgram(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir() && info.Mode()&0o111 != 0
}
