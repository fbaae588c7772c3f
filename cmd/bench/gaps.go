package main

import (
	"github.com/spf13/cobra"

	"viakv/bench/scenario"
	"viakv/cmd/cliutil"
)

// gapsCommand measures what an outage of one node costs the clients of the others.
func gapsCommand() *cobra.Command {
	s := scenario.Default("gaps")
	var o outputs
	cmd := &cobra.Command{
		Use:   "gaps",
		Short: "Measure how long clients go without an answer when another node is killed, stopped or paused",
		Long: "Founds a cluster and asks all nodes for a few keys, with one request under way on each connection. Meanwhile one node is killed, told to\n" +
			"stop, paused, and started again, and the cluster is cleared and joined, also while a node is paused. For each of these it prints the longest\n" +
			"time without an answer at the nodes that live, and how many requests were refused there, ended with an unknown outcome, or were lost.",
		Example: "  bench gaps --rounds 3 -o out",
		Args:    cliutil.NoArguments,
		RunE:    func(cmd *cobra.Command, _ []string) error { return runScenario(cmd, scenario.Gaps, s, o) },
	}
	f := cmd.Flags()
	f.IntVar(&s.Rounds, "rounds", 3, "how often each; in each round it happens to another node")
	f.StringVar(&s.Title, "title", "", "of the report")
	clusterFlags(f, &s)
	o.flags(f)
	return cmd
}
