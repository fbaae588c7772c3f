package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"viakv/api/client"
	"viakv/api/document"
	"viakv/api/kv"
	"viakv/cmd/cliutil"
)

func statusCommand() *cobra.Command {
	return remoteCommand(&cobra.Command{
		Use:   "status",
		Short: "Show how well the cluster serves, as the node that answers sees it; exit status 3 if it refuses reads or writes",
		Long: "Shows what becomes of requests at the node that answers, why, and what to do next; then the cluster and its members.\n" +
			"Exit status 0 while reads and writes are served, also if failures are no longer tolerated, and 3 while either is refused.",
		Example: "  viakv status --endpoints 127.0.0.1:8082\n  viakv status -o json",
		Args:    cliutil.NoArguments,
	}, func(ctx context.Context, r *remote, c *client.Client, _ []string) error {
		s, err := c.Cluster(ctx)
		switch {
		case err != nil:
			return err
		case r.json():
			err = r.document(s)
		default:
			err = printStatus(r.cmd.OutOrStdout(), s)
		}
		if h := &s.Health; err == nil && !(h.CanRead && h.CanWrite) {
			err = &codedError{code: exitUnavailable, err: errors.New(refused(h))}
		}
		return err
	})
}

// refused says which requests are refused.
func refused(h *document.Health) string {
	if h.CanRead {
		return "writes are refused"
	}
	return "reads and writes are refused"
}

// failures says how many more failures an operation tolerates.
func failures(served bool, n int) string {
	switch {
	case !served:
		return "refused now"
	case n == 1:
		return "1 more failure"
	}
	return fmt.Sprintf("%d more failures", n)
}

// describeReads says how the cluster answers reads.
func describeReads(s document.Status) string {
	if s.Reads == string(kv.ReadsLease) {
		return fmt.Sprintf("by lease of %v", time.Duration(s.LeaseMicros)*time.Microsecond)
	}
	return "by " + visible(s.Reads)
}

// readingOf returns how the node that answers says that it answers reads. It is nil when it answers
// none.
func readingOf(s document.Status) *document.Reading {
	for i := range s.Members {
		if m := &s.Members[i]; m.Name == s.Self {
			return m.Reading
		}
	}
	return nil
}

// describeReading says how a node answers reads at present, since when, and why.
func describeReading(r *document.Reading) string {
	how := "by quorum"
	if r.State == "alone" {
		how = "from its own copy"
	}
	how += " since " + r.Since.Local().Format(time.TimeOnly)
	if r.Reason != "" {
		how += ": " + visible(r.Reason)
	}
	return how
}

func printStatus(out io.Writer, s document.Status) error {
	t := newTable(out)
	row := func(what, format string, args ...any) { fmt.Fprintf(t, what+"\t"+format+"\n", args...) }
	h := &s.Health
	row("node", "%s, %s", visible(s.Self), s.State)
	if s.Reason != "" && !strings.HasPrefix(s.Reason, h.Reason) {
		row("reason", "%s", visible(s.Reason))
	}
	row("verdict", "%s since %s: %s", h.Verdict, h.Since.Local().Format(time.TimeOnly), visible(h.Reason))
	if h.Next != "" {
		row("next", "%s", visible(h.Next))
	}
	if s.Mode != "mesh" {
		row("store", "%s", s.Mode)
		return t.Flush()
	}
	if s.N == 0 {
		return t.Flush()
	}
	row("cluster", "%s, epoch %d, generation %d", s.Cluster, s.Epoch, s.Generation)
	row("quorums", "R=%d W=%d of N=%d, %d answering", s.R, s.W, s.N, h.Answering)
	if s.Reads != "" {
		row("reads", "%s", describeReads(s))
	}
	if r := readingOf(s); r != nil {
		row("gets", "%s", describeReading(r))
		row("so far", "%d gets alone, %d by quorum, %d repaired; %d sets and removes waited for leases, %.3f s in all",
			r.Alone, r.Quorum, r.Repaired, r.Waited, r.WaitedSeconds)
	}
	row("tolerates", "%s (reads), %s (writes)", failures(h.CanRead, h.ReadFailures), failures(h.CanWrite, h.WriteFailures))
	if h.MayLose != "" {
		row("at stake", "if the others never come back, %s", visible(h.MayLose))
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
