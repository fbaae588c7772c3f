package main

import (
	"github.com/spf13/cobra"

	"viakv/cmd/cliutil"
)

// root returns the command line.
func root() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure, check and torment a viakv cluster",
		Args:  cliutil.KnownCommand,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	for _, c := range scenarioCommands() {
		cmd.AddCommand(c)
	}
	cmd.AddCommand(stressCommand(), baselineCommand(), growthCommand(), compareCommand(), showCommand(), serveCommand())
	cmd.InitDefaultCompletionCmd()
	cliutil.Prepare(cmd)
	return cmd
}
