package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"viakv/api/client"
	"viakv/api/kv"
)

func isCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "is KEY",
		Short:   "Tell whether a key has a value; exit status 0 if so, 1 if not",
		Example: "  viakv is color && echo there",
		Args:    cobra.ExactArgs(1),
	}
	newRemote(cmd, is)
	return cmd
}

func is(ctx context.Context, r *remote, c *client.Client, args []string) error {
	exists, err := c.Has(ctx, args[0])
	if err != nil {
		return err
	}
	if r.json() {
		err = r.document(keyAnswer{Key: args[0], Exists: &exists})
	} else if exists {
		err = r.print("yes\n")
	}
	if err == nil && !exists {
		err = fmt.Errorf("%w: %s", kv.ErrMissing, visible(args[0]))
	}
	return err
}
