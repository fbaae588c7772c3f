package main

import (
	"time"

	"github.com/spf13/cobra"

	"viakv/bench/scenario"
	"viakv/cmd/cliutil"
)

// stressCommand starts a cluster of its own, so that none has to run already.
func stressCommand() *cobra.Command {
	s := scenario.Default("run")
	s.Mix, s.Duration = "a", scenario.Duration(10*time.Second)
	var o outputs
	cmd := &cobra.Command{
		Use:     "stress",
		Short:   "Start a cluster, fill it, run a mix on it and scan it: a short stress from nothing",
		Long:    "Starts nodes on this machine, writes all keys, runs a mix of requests with every value compared, scans everything, and ends the nodes.\nThe exit status is 0 when nothing was missing or wrong, and no more than --max-errors was not served.",
		Example: "  bench stress --keys 1M -d 30s -o out/stress",
		Args:    cliutil.NoArguments,
		RunE:    func(cmd *cobra.Command, _ []string) error { return runScenario(cmd, scenario.Stress, s, o) },
	}
	f := cmd.Flags()
	f.StringVar(&s.Title, "title", "", "of the report")
	f.Float64Var(&s.Rate, "rate", 0, "requests a second, whatever the target does: an open loop (0: a closed loop, as fast as answers come)")
	for _, g := range []group{clusterFlags, keyFlags, connectionFlags, mixFlags} {
		g(f, &s)
	}
	o.flags(f)
	return cmd
}
