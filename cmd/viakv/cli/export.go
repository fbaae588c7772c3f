package cli

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"viakv/api/client"
	"viakv/cmd/cliutil"
)

func exportCommand() *cobra.Command {
	var l listing
	cmd := readCommand(&cobra.Command{
		Use:   "export [FILE]",
		Short: "Write all pairs to a file, or to standard output",
		Long: "Writes a line of JSON for each pair and a last line that counts them, so that a file that was cut is found out. FILE is made anew, readable by\n" +
			"its owner alone, and only once it is whole: after a failure the old one is still there, and the command can be repeated.\n" +
			"Each pair is as it was at some moment of the export; --snapshot insists on one moment for all.",
		Example: "  viakv export backup.ndjson\n  viakv export | gzip > backup.ndjson.gz",
		Args:    cobra.MaximumNArgs(1),
	}, func(ctx context.Context, r *remote, c *client.Client, args []string) error {
		if len(args) == 0 || args[0] == "-" {
			n, err := export(ctx, r, c, l, r.cmd.OutOrStdout())
			if err != nil {
				return err
			}
			r.note("exported %d pairs", n)
			return nil
		}
		n, err := exportFile(ctx, r, c, l, args[0])
		if err != nil {
			return err
		}
		return r.answer(map[string]any{"file": args[0], "pairs": n}, "exported %d pairs to %s\n", n, args[0])
	})
	l.flags(cmd)
	return cmd
}

// export writes all pairs and returns how many there were.
func export(ctx context.Context, r *remote, c *client.Client, l listing, to io.Writer) (int64, error) {
	expected := int64(-1)
	if s, err := c.Cluster(ctx); err == nil && l.prefix == "" && s.Keys > 0 {
		// The number that this node has; only the bar uses it.
		expected = s.Keys
	}
	bar := cliutil.NewBar(r.cmd.ErrOrStderr(), "exporting", "pairs", expected)
	defer bar.End()
	out := bufio.NewWriterSize(to, 64<<10)
	encoder := newEncoder(out)
	scan := c.Scan(ctx, client.ScanAll, client.ScanOptions{Prefix: l.prefix, Snapshot: l.snapshot})
	defer scan.Close()
	for scan.Next() {
		if err := encoder.Encode(exportedPair{string(scan.Key()), string(scan.Value())}); err != nil {
			return 0, err
		}
		bar.Add(1)
	}
	if err := scan.Err(); err != nil {
		return 0, err
	}
	if err := encoder.Encode(exportedEnd{End: true, Count: scan.Count()}); err != nil {
		return 0, err
	}
	return scan.Count(), out.Flush()
}

// exportFile writes a file beside the named one, and at the end renames it.
func exportFile(ctx context.Context, r *remote, c *client.Client, l listing, name string) (n int64, err error) {
	f, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*.part")
	if err != nil {
		return 0, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	n, err = export(ctx, r, c, l, f)
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return 0, err
	}
	return n, os.Rename(f.Name(), name)
}
