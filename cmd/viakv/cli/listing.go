package cli

import (
	"bufio"
	"context"

	"github.com/spf13/cobra"

	"viakv/api/client"
	"viakv/cmd/cliutil"
)

// listing is what the flags say about a scan.
type listing struct {
	prefix   string
	limit    int64
	snapshot bool
}

func keysCommand() *cobra.Command {
	return listCommand("keys", "Print all keys, one a line", client.ScanKeys, func(s *client.Scanner) (string, any) {
		return visible(string(s.Key())), string(s.Key())
	})
}

func valuesCommand() *cobra.Command {
	return listCommand("values", "Print all values, one a line", client.ScanValues, func(s *client.Scanner) (string, any) {
		return visible(string(s.Value())), string(s.Value())
	})
}

func allCommand() *cobra.Command {
	return listCommand("all", "Print all keys with their values, a tab between them", client.ScanAll, func(s *client.Scanner) (string, any) {
		return visible(string(s.Key())) + "\t" + visible(string(s.Value())), exportedPair{string(s.Key()), string(s.Value())}
	})
}

// listCommand makes a command for a kind of scan. The function row renders the current row as text
// and for JSON.
func listCommand(name, short string, kind client.Kind, row func(*client.Scanner) (string, any)) *cobra.Command {
	var l listing
	cmd := readCommand(&cobra.Command{
		Use:   name,
		Short: short,
		Long: short + ", in no particular order. What holds a character that cannot be printed, a line end for example, is quoted.\n" +
			"With -o json, each line is a JSON document.",
		Example: "  viakv " + name + " --prefix user/ --limit 10",
		Args:    cliutil.NoArguments,
	}, func(ctx context.Context, r *remote, c *client.Client, _ []string) error {
		out := bufio.NewWriter(r.cmd.OutOrStdout())
		encoder := newEncoder(out)
		scan := c.Scan(ctx, kind, client.ScanOptions{Prefix: l.prefix, Snapshot: l.snapshot})
		defer scan.Close()
		for scan.Next() {
			text, document := row(scan)
			var err error
			if r.json() {
				err = encoder.Encode(document)
			} else {
				_, err = out.WriteString(text + "\n")
			}
			if err != nil {
				return err
			}
			if l.limit > 0 && scan.Count() == l.limit {
				return out.Flush()
			}
		}
		if err := out.Flush(); err != nil {
			return err
		}
		return scan.Err()
	})
	l.flags(cmd)
	cmd.Flags().Int64Var(&l.limit, "limit", 0, "stop after that many; 0: all")
	return cmd
}

func (l *listing) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&l.prefix, "prefix", "", "only keys that begin with it")
	cmd.Flags().BoolVar(&l.snapshot, "snapshot", false, "fail unless the result was one atomic state: nothing was written meanwhile")
}
