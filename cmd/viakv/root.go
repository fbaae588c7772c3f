package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// root returns the command line. Every flag can also be given as an environment variable: --max-memory as VIAKV_MAX_MEMORY. A flag
// wins over the environment, the environment over the default.
func root() *cobra.Command {
	cmd := &cobra.Command{
		Use:           "viakv",
		Short:         "A key-value mesh: every node holds every key, and takes reads and writes",
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			return fromEnvironment(cmd.Flags(), os.LookupEnv)
		},
	}
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	cmd.AddGroup(&cobra.Group{ID: groupNodes, Title: "Nodes:"}, &cobra.Group{ID: groupKeys, Title: "Keys of a running cluster:"},
		&cobra.Group{ID: groupCluster, Title: "A running cluster:"})
	add := func(group string, commands ...*cobra.Command) {
		for _, c := range commands {
			c.GroupID = group
			cmd.AddCommand(c)
		}
	}
	add(groupNodes, serveCommand(), devCommand(), healthCommand(), certsCommand())
	add(groupKeys, getCommand(), setCommand(), rmCommand(), isCommand(), clearCommand(),
		keysCommand(), valuesCommand(), allCommand(), exportCommand(), importCommand())
	add(groupCluster, statusCommand(), memberCommand())
	cmd.AddCommand(versionCommand())
	cmd.InitDefaultCompletionCmd()
	argumentsAsUsage(cmd)
	return cmd
}

// Groups of the commands in the help.
const (
	groupNodes   = "nodes"
	groupKeys    = "keys"
	groupCluster = "cluster"
)

func argumentsAsUsage(cmd *cobra.Command) {
	cmd.Args = asUsage(cmd.Args)
	for _, c := range cmd.Commands() {
		argumentsAsUsage(c)
	}
}

// asUsage makes what a check of arguments finds a usage error.
func asUsage(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usageError{fmt.Errorf("%w; see %s --help", err, cmd.CommandPath())}
		}
		return nil
	}
}

// fromEnvironment sets the flags that were not given from their VIAKV_* variables.
func fromEnvironment(flags *pflag.FlagSet, lookup func(string) (string, bool)) error {
	var errs []error
	flags.VisitAll(func(f *pflag.Flag) {
		name := "VIAKV_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		if value, ok := lookup(name); ok && !f.Changed {
			if err := flags.Set(f.Name, value); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", name, err))
			}
		}
	})
	if err := errors.Join(errs...); err != nil {
		return usageError{err}
	}
	return nil
}
