// Package cli is the command line of viakv: what each command asks and prints, and its exit code.
package cli

import (
	"fmt"
	"os"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"viakv/cmd/cliutil"
	"viakv/cmd/viakv/serve"
)

// Main runs the command line of the process, and ends the process if that fails. The commit is the
// one that the program was built from.
func Main(commit string) {
	if err := root(commit).Execute(); err != nil {
		complain(err)
		os.Exit(exitCode(err))
	}
}

// complainTime bounds the wait for the error message to be written.
const complainTime = time.Second

// complain prints why the command has failed. If standard error takes nothing, it gives up, because
// the command must end.
func complain(err error) {
	said := make(chan struct{})
	go func() {
		defer close(said)
		fmt.Fprintln(os.Stderr, "viakv:", err)
	}()
	select {
	case <-said:
	case <-time.After(complainTime):
	}
}

// root returns the command line of a program that was built from a commit.
func root(commit string) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "viakv",
		Short: "A key-value mesh: every node holds every key, and takes reads and writes",
		Args:  cliutil.KnownCommand,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddGroup(&cobra.Group{ID: groupNodes, Title: "Nodes:"}, &cobra.Group{ID: groupKeys, Title: "Keys of a running cluster:"},
		&cobra.Group{ID: groupCluster, Title: "A running cluster:"})
	add := func(group string, commands ...*cobra.Command) {
		for _, c := range commands {
			c.GroupID = group
			cmd.AddCommand(c)
		}
	}
	add(groupNodes, serveCommand(commit), devCommand(), healthCommand(), certsCommand())
	add(groupKeys, getCommand(), setCommand(), rmCommand(), isCommand(), clearCommand(),
		keysCommand(), valuesCommand(), allCommand(), exportCommand(), importCommand())
	add(groupCluster, statusCommand(), eventsCommand(), memberCommand())
	cmd.AddCommand(versionCommand(commit))
	cmd.InitDefaultCompletionCmd()
	cliutil.Prepare(cmd)
	return cmd
}

// The groups of the commands in the help.
const (
	groupNodes   = "nodes"
	groupKeys    = "keys"
	groupCluster = "cluster"
)

func versionCommand(commit string) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cliutil.NoArguments,
		Run: func(cmd *cobra.Command, _ []string) {
			fmt.Fprintf(cmd.OutOrStdout(), "viakv %s (commit %s, %s %s/%s)\n", serve.Release, commit, runtime.Version(), runtime.GOOS, runtime.GOARCH)
		},
	}
}
