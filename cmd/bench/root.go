package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// root returns the command line. Every flag can also be given as an environment variable: --key-size as BENCH_KEY_SIZE. A flag wins over
// the environment, the environment over the default.
func root() *cobra.Command {
	cmd := &cobra.Command{
		Use:           "bench",
		Short:         "Measure, check and torment a viakv cluster",
		SilenceUsage:  true,
		SilenceErrors: true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			return fromEnvironment(cmd.Flags(), os.LookupEnv)
		},
	}
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	for _, c := range scenarioCommands() {
		cmd.AddCommand(c)
	}
	cmd.AddCommand(stressCommand(), baselineCommand(), growthCommand(), compareCommand(), showCommand(), serveCommand())
	return cmd
}

// fromEnvironment sets the flags that were not given from their BENCH_* variables.
func fromEnvironment(flags *pflag.FlagSet, lookup func(string) (string, bool)) error {
	var errs []error
	flags.VisitAll(func(f *pflag.Flag) {
		name := "BENCH_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
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

// noArguments refuses words that are no flags.
func noArguments(_ *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return usageError{fmt.Errorf("%q is not a flag, and this command takes nothing else (see --help)", args[0])}
}
