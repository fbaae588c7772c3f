package main

import (
	"fmt"
	"runtime"

	"viakv/cmd/cliutil"

	"github.com/spf13/cobra"
)

func versionCommand(commit string) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cliutil.NoArguments,
		Run: func(cmd *cobra.Command, _ []string) {
			fmt.Fprintf(cmd.OutOrStdout(), "viakv %s (commit %s, %s %s/%s)\n", release, commit, runtime.Version(), runtime.GOOS, runtime.GOARCH)
		},
	}
}
