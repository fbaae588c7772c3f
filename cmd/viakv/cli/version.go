package cli

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"viakv/cmd/cliutil"
	"viakv/cmd/viakv/serve"
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
