package cli

import (
	"context"

	"github.com/spf13/cobra"

	"viakv/api/client"
	"viakv/cmd/cliutil"
)

func getCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "get KEY",
		Short: "Print the key's value; exit status 1 if it has none",
		Long: "Prints the key's value and a line end, or with -o json key, value and version.\n" +
			"On a terminal, a value with characters that would act on it is shown quoted.",
		Example: "  viakv get color\n  viakv get color -o json",
		Args:    cobra.ExactArgs(1),
	}
	newRemote(cmd, get)
	return cmd
}

func get(ctx context.Context, r *remote, c *client.Client, args []string) error {
	entry, err := c.Lookup(ctx, args[0])
	switch {
	case err != nil:
		return err
	case r.json():
		return r.document(entry)
	case cliutil.IsTerminal(r.cmd.OutOrStdout()):
		return r.print("%s\n", visible(entry.Value))
	}
	return r.print("%s\n", entry.Value)
}
