// Command bench loads, checks and breaks a viakv cluster, from outside.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"viakv/bench"
	"viakv/cmd/cliutil"
)

// commit is the commit that this program was built from. The linker sets it.
var commit string

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := root().ExecuteContext(ctx)
	stop()
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, "bench:", err)
	if cliutil.IsUsage(err) || errors.Is(err, bench.ErrRemote) {
		os.Exit(cliutil.ExitUsage)
	}
	os.Exit(cliutil.ExitFailed) // also after a run that did not pass
}

// errNotPassed ends the program after a run that did not pass. The report says why.
var errNotPassed = errors.New("the run did not pass")

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
	cmd.AddCommand(stressCommand(), baselineCommand(), growthCommand(), gapsCommand(), compareCommand(), showCommand(), serveCommand())
	cmd.InitDefaultCompletionCmd()
	cliutil.Prepare(cmd)
	return cmd
}
