package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"viakv/api/client"
	"viakv/api/document"
	"viakv/api/plan"
	"viakv/cmd/cliutil"
)

func statusCommand() *cobra.Command {
	return remoteCommand(&cobra.Command{
		Use:     "status",
		Short:   "Show the cluster as the node that answers sees it",
		Example: "  viakv status --endpoints 127.0.0.1:8082\n  viakv status -o json",
		Args:    cliutil.NoArguments,
	}, func(ctx context.Context, r *remote, c *client.Client, _ []string) error {
		s, err := c.Cluster(ctx)
		switch {
		case err != nil:
			return err
		case r.json():
			return r.document(s)
		}
		return printStatus(r.cmd.OutOrStdout(), s)
	})
}

func printStatus(out io.Writer, s document.Status) error {
	t := newTable(out)
	row := func(what, format string, args ...any) { fmt.Fprintf(t, what+"\t"+format+"\n", args...) }
	row("node", "%s, %s", visible(s.Self), s.State)
	if s.Reason != "" {
		row("reason", "%s", s.Reason)
	}
	if s.Mode != "mesh" {
		row("store", "%s", s.Mode)
		return t.Flush()
	}
	row("cluster", "%s, epoch %d, generation %d", s.Cluster, s.Epoch, s.Generation)
	now := plan.Now(s)
	row("quorums", "R=%d W=%d of N=%d, %d serving", s.R, s.W, s.N, now.Serving)
	switch {
	case now.Serving < s.R && now.Serving < s.W:
		row("can lose", "nothing more: reads and writes have no quorum")
	case now.Serving < s.W:
		row("can lose", "%d before reads fail; writes have no quorum", now.ReadFailures)
	default:
		row("can lose", "%d before reads fail, %d before writes fail", now.ReadFailures, now.WriteFailures)
	}
	if s.Weak {
		row("weak", "R + W is not above N: reads may miss acknowledged writes")
	}
	if s.Unsettled != "" {
		row("unsettled", "%s", s.Unsettled)
	}
	for _, w := range s.Warnings {
		row("warning", "%s", visible(w))
	}
	limit := "no limit"
	if s.MaxBytes > 0 {
		limit = fmt.Sprintf("limit %d", s.MaxBytes)
	}
	row("holds", "%d keys and %d tombstones in %d bytes, %s", s.Keys, s.Tombstones, s.Bytes, limit)
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(out)
	return printMembers(out, s)
}
