package cli

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"viakv/api/client"
	"viakv/api/kv"
	"viakv/api/pairs"
	"viakv/cmd/cliutil"
)

func getCommand() *cobra.Command {
	return readCommand(&cobra.Command{
		Use:   "get KEY...",
		Short: "Print the key's value; exit status 1 if it has none",
		Long: "Prints the key's value and a line end, or with -o json key, value and version.\n" +
			"On a terminal, a value with characters that would act on it is shown quoted.\n\n" +
			"Of several keys it prints those that have a value, as `viakv all` does, and then names the others; exit status 1 if there are any.",
		Example: "  viakv get color\n  viakv get color -o json\n  viakv get color size weight",
		Args:    cobra.MinimumNArgs(1),
	}, get)
}

func get(ctx context.Context, r *remote, c *client.Client, args []string) error {
	if len(args) > 1 {
		return getMany(ctx, r, c, args)
	}
	entry, err := c.Lookup(ctx, args[0])
	if err != nil {
		return err
	}
	text := entry.Value
	if cliutil.IsTerminal(r.cmd.OutOrStdout()) {
		text = visible(text)
	}
	return r.answer(entry, "%s\n", text)
}

// getMany prints the values of several keys, a line each.
func getMany(ctx context.Context, r *remote, c *client.Client, keys []string) error {
	values, err := c.GetMany(ctx, keys)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(r.cmd.OutOrStdout())
	encoder := newEncoder(out)
	var missing []string
	for _, key := range keys {
		value, there := values[key]
		switch {
		case !there:
			missing = append(missing, visible(key))
		case r.json():
			err = encoder.Encode(exportedPair{key, value})
		default:
			_, err = out.WriteString(visible(key) + "\t" + visible(value) + "\n")
		}
		if err != nil {
			return err
		}
	}
	if err = out.Flush(); err == nil && len(missing) > 0 {
		err = fmt.Errorf("%w: %s", kv.ErrMissing, strings.Join(missing, ", "))
	}
	return err
}

func setCommand() *cobra.Command {
	return writeCommand(&cobra.Command{
		Use:     "set KEY [VALUE]",
		Short:   "Store a value, given or read from standard input",
		Long:    "Stores the value, or without one all of standard input as it is, line ends included.",
		Example: "  viakv set color green\n  printf 'two\\nlines' | viakv set poem",
		Args:    cobra.RangeArgs(1, 2),
	}, set)
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
	if err := pairs.Check([]byte(args[0]), []byte(value)); err != nil {
		return cliutil.Usage(err)
	}
	version, err := c.Set(ctx, args[0], value)
	if err != nil {
		return err
	}
	return r.answer(client.Entry{Key: args[0], Value: value, Version: version}, "stored\n")
}

func rmCommand() *cobra.Command {
	return writeCommand(&cobra.Command{
		Use:     "rm KEY",
		Short:   "Remove a key; exit status 1 if it is not there",
		Example: "  viakv rm color",
		Args:    cobra.ExactArgs(1),
	}, rm)
}

func rm(ctx context.Context, r *remote, c *client.Client, args []string) error {
	if err := c.Remove(ctx, args[0]); err != nil {
		return err
	}
	return r.answer(keyAnswer{Key: args[0], Removed: true}, "removed\n")
}

// keyAnswer is what rm and is print in JSON.
type keyAnswer struct {
	Key     string `json:"key"`
	Removed bool   `json:"removed,omitempty"`
	Exists  *bool  `json:"exists,omitempty"`
}

func isCommand() *cobra.Command {
	return readCommand(&cobra.Command{
		Use:     "is KEY",
		Short:   "Tell whether a key has a value; exit status 0 if so, 1 if not",
		Example: "  viakv is color && echo there",
		Args:    cobra.ExactArgs(1),
	}, is)
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

func clearCommand() *cobra.Command {
	var yes bool
	cmd := remoteCommand(&cobra.Command{
		Use:     "clear",
		Short:   "Remove everything, at once",
		Long:    "Removes every key of the cluster in one step. It asks first; where there is no terminal to ask at, --yes is needed.",
		Example: "  viakv export backup.ndjson && viakv clear --yes",
		Args:    cliutil.NoArguments,
	}, func(ctx context.Context, r *remote, c *client.Client, _ []string) error {
		if err := r.confirm(yes, "This removes every key of the cluster."); err != nil {
			return err
		}
		if err := c.Clear(ctx); err != nil {
			return err
		}
		return r.answer(map[string]bool{"cleared": true}, "cleared\n")
	})
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}
