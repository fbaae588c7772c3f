// Package cli is the command line of viakv: what each command asks, prints and ends with.
package cli

import (
	"github.com/spf13/cobra"

	"viakv/cmd/cliutil"
)

// root returns the command line of a program that was built from a commit.
func root(commit string) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "viakv",
		Short: "A key-value mesh: every node holds every key, and takes reads and writes",
		Args:  cobra.NoArgs,
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
	add(groupCluster, statusCommand(), memberCommand())
	cmd.AddCommand(versionCommand(commit))
	cmd.InitDefaultCompletionCmd()
	cliutil.Prepare(cmd)
	return cmd
}

// Groups of the commands in the help.
const (
	groupNodes   = "nodes"
	groupKeys    = "keys"
	groupCluster = "cluster"
)
