package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"viakv/api/client"
	"viakv/api/kv"
	"viakv/cmd/cliutil"
)

func setCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "set KEY [VALUE]",
		Short:   "Store a value, given or read from standard input",
		Long:    "Stores the value, or without one all of standard input as it is, line ends included.",
		Example: "  viakv set color green\n  printf 'two\\nlines' | viakv set poem",
		Args:    cobra.RangeArgs(1, 2),
	}
	newRemote(cmd, set)
	return cmd
}

func set(ctx context.Context, r *remote, c *client.Client, args []string) error {
	var value string
	if len(args) == 2 {
		value = args[1]
	} else {
		b, err := io.ReadAll(io.LimitReader(r.cmd.InOrStdin(), kv.MaxValueBytes+1))
		if err != nil {
			return fmt.Errorf("standard input: %w", err)
		}
		value = string(b)
	}
	if err := checkPair(args[0], value); err != nil {
		return cliutil.Usage(err)
	}
	version, err := c.Set(ctx, args[0], value)
	switch {
	case err != nil:
		return err
	case r.json():
		return r.document(client.Entry{Key: args[0], Value: value, Version: version})
	}
	return r.print("stored\n")
}
