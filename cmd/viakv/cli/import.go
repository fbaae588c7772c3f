package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"viakv/api/client"
	"viakv/api/pairs"
	"viakv/cmd/cliutil"
)

// importOptions say what an import may do.
type importOptions struct {
	force, partial, missing bool
	from                    int64 // first line to write, from 1
}

func importCommand() *cobra.Command {
	var o importOptions
	cmd := writeCommand(&cobra.Command{
		Use:   "import [FILE]",
		Short: "Write the pairs of an export, from a file or standard input",
		Long: "Writes the pairs that export has written. A file is checked as a whole before anything is sent; standard input is written as it comes.\n" +
			"A cluster that holds keys already is refused without --force or --missing. With --force, the file's keys are overwritten and others stay.\n" +
			"With --missing, only keys that the cluster does not have are written. It looks first and then writes: let no other client write these keys.\n\n" +
			"Each pair is written at least once: what fails is tried again for a while. To repeat an import, whole or with --from-line, is harmless as\n" +
			"long as nobody else writes these keys; a failure says from which line on it is needed.",
		Example: "  viakv import backup.ndjson\n  gunzip < backup.ndjson.gz | viakv import --force\n  viakv import --missing keep.ndjson",
		Args:    cobra.MaximumNArgs(1),
	}, func(ctx context.Context, r *remote, c *client.Client, args []string) error {
		if o.from < 1 {
			return cliutil.Usagef("--from-line %d: the first line is 1", o.from)
		}
		in, total := r.cmd.InOrStdin(), int64(-1)
		if len(args) == 1 && args[0] != "-" {
			f, err := os.Open(args[0])
			if err != nil {
				return cliutil.Usage(err)
			}
			defer func() { _ = f.Close() }()
			if total, err = checkExport(f, o.partial); err != nil {
				return cliutil.Usagef("%s, %w; nothing was written", args[0], err)
			}
			in = f
		}
		if err := o.mayWrite(ctx, c); err != nil {
			return err
		}
		n, there, err := o.load(ctx, c, in, cliutil.NewBar(r.cmd.ErrOrStderr(), "importing", "pairs", total))
		switch {
		case err != nil:
			return err
		case o.missing:
			return r.answer(map[string]int64{"pairs": n, "there": there}, "imported %d pairs; %d keys were there\n", n, there)
		}
		return r.answer(map[string]int64{"pairs": n}, "imported %d pairs\n", n)
	})
	cmd.Flags().BoolVar(&o.force, "force", false, "write into a cluster that holds keys already")
	cmd.Flags().BoolVar(&o.missing, "missing", false, "write only the keys that the cluster does not have")
	cmd.Flags().BoolVar(&o.partial, "partial", false, "accept an input without the last line that counts the pairs, one made by hand")
	cmd.Flags().Int64Var(&o.from, "from-line", 1, "skip the lines before this one: they were written by an import that failed later")
	return cmd
}

// checkExport reads the whole file and returns how many pairs it has. It returns -1 for a pipe,
// which cannot be read twice.
func checkExport(f *os.File, partial bool) (int64, error) {
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return -1, err // not a regular file
	}
	p := pairs.NewReader(f, pairs.NDJSON)
	for p.Next() {
	}
	if err := whole(p, partial); err != nil {
		return 0, err
	}
	_, err := f.Seek(0, io.SeekStart)
	return p.Pairs(), err
}

// mayWrite returns an error for a cluster that has keys already, unless the user has said what then
// to do.
func (o *importOptions) mayWrite(ctx context.Context, c *client.Client) error {
	if o.force || o.missing {
		return nil
	}
	scan := c.Scan(ctx, client.ScanKeys, client.ScanOptions{PageSize: 1})
	defer scan.Close()
	if scan.Next() {
		return &codedError{code: exitRefused, err: errors.New("the cluster holds keys already; nothing was written"),
			advice: "repeat with --force to add to them and overwrite those of the same name, with --missing to keep those, or `viakv clear` it first"}
	}
	return scan.Err()
}

// load writes the pairs. It returns how many it has written, and how many it has not, because their
// keys were there.
func (o *importOptions) load(ctx context.Context, c *client.Client, in io.Reader, bar *cliutil.Bar) (n, there int64, err error) {
	defer bar.End()
	w := newImport(ctx, c, bar, o.missing)
	p := pairs.NewReader(in, pairs.NDJSON)
	for p.Next() {
		if p.Line() < o.from {
			bar.Add(1)
			continue
		}
		if !w.write(p.Line(), exportedPair{string(p.Key()), string(p.Value())}) {
			break
		}
		n++
	}
	resume, err := w.wait(p.Line() + 1)
	if err != nil {
		again := "--force"
		if o.missing {
			again = "--missing"
		}
		return 0, 0, fmt.Errorf("line %d: %w; all before it is written: repeat with %s --from-line %d", resume, err, again, resume)
	}
	there = w.there
	n -= there
	if err := whole(p, o.partial); err != nil {
		return 0, 0, cliutil.Usagef("%w; the %d pairs before are written", err, n)
	}
	return n, there, nil
}
