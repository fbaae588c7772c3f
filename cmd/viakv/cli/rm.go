package cli

import (
	"context"

	"github.com/spf13/cobra"

	"viakv/api/client"
)

func rmCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "rm KEY",
		Short:   "Remove a key; exit status 1 if it is not there",
		Example: "  viakv rm color",
		Args:    cobra.ExactArgs(1),
	}
	newRemote(cmd, rm)
	return cmd
}

func rm(ctx context.Context, r *remote, c *client.Client, args []string) error {
	if err := c.Remove(ctx, args[0]); err != nil {
		return err
	}
	if r.json() {
		return r.document(keyAnswer{Key: args[0], Removed: true})
	}
	return r.print("removed\n")
}

// keyAnswer is what rm and is say in JSON.
type keyAnswer struct {
	Key     string `json:"key"`
	Removed bool   `json:"removed,omitempty"`
	Exists  *bool  `json:"exists,omitempty"`
}
