package cli

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"viakv/api/client"
	"viakv/api/document"
	"viakv/cmd/cliutil"
)

func memberListCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the members as the node that answers sees them",
		Args:  cliutil.NoArguments,
	}
	newRemote(cmd, func(ctx context.Context, r *remote, c *client.Client, _ []string) error {
		s, err := c.Cluster(ctx)
		switch {
		case err != nil:
			return err
		case r.json():
			if s.Members == nil {
				s.Members = []document.Member{}
			}
			return r.document(s.Members)
		}
		return printMembers(cmd.OutOrStdout(), s)
	})
	return cmd
}

// printMembers prints a table with a line for each member.
func printMembers(out io.Writer, s document.Status) error {
	if s.Mode != "mesh" {
		_, err := fmt.Fprintf(out, "no members: the nodes keep their data in a database (%s)\n", s.Mode)
		return err
	}
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "NAME\tSTATE\tREACHABLE\tHTTP\tPEER\tOWNS\tHINTS\tROUND TRIP\tSYNC")
	for i := range s.Members {
		m := &s.Members[i]
		reachable, hints, trip := "yes", fmt.Sprint(m.Hints), "-"
		if !m.Reachable {
			reachable = "no"
		}
		if m.RTTMicros > 0 {
			trip = (time.Duration(m.RTTMicros) * time.Microsecond).String()
		}
		if m.Name == s.Self {
			reachable, hints = "self", "-"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%.1f%%\t%s\t%s\t%s\n",
			visible(m.Name), m.State, reachable, m.HTTP, m.Peer, 100*m.Ownership, hints, trip, describeSync(m.Sync))
	}
	return t.Flush()
}

func describeSync(s *document.Sync) string {
	if s == nil {
		return "-"
	}
	return fmt.Sprintf("%s %.0f%%, %d keys, %.0fs left", s.Kind, 100*s.Done, s.Keys, s.LeftSecs)
}
