package cli

import (
	"context"

	"github.com/spf13/cobra"

	"viakv/api/client"
	"viakv/cmd/cliutil"
)

func clearCommand() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:     "clear",
		Short:   "Remove everything, at once",
		Long:    "Removes every key of the cluster in one step. It asks first; where there is no terminal to ask at, --yes is needed.",
		Example: "  viakv export backup.ndjson && viakv clear --yes",
		Args:    cliutil.NoArguments,
	}
	newRemote(cmd, func(ctx context.Context, r *remote, c *client.Client, _ []string) error {
		if err := r.confirm(yes, "This removes every key of the cluster."); err != nil {
			return err
		}
		if err := c.Clear(ctx); err != nil {
			return err
		}
		if r.json() {
			return r.document(map[string]bool{"cleared": true})
		}
		return r.print("cleared\n")
	})
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}
