package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"viakv/api/client"
	"viakv/api/document"
	"viakv/api/health"
	"viakv/cmd/cliutil"
)

// defaultEvents is how many events the command events shows unless it is asked for more or fewer.
const defaultEvents = 50

func eventsCommand() *cobra.Command {
	var last int
	cmd := remoteCommand(&cobra.Command{
		Use:   "events",
		Short: "Show what the node that answers has seen to change, the newest last",
		Long: "Shows the last changes that the node that answers has seen since its process started: of what becomes of requests, of its members and\n" +
			"whether they answer, and of the member that leads changes of members. Each node notes them by itself, with its own clock.",
		Example: "  viakv events -n 10\n  viakv events --endpoints 127.0.0.1:8082 -o json",
		Args:    cliutil.NoArguments,
	}, func(ctx context.Context, r *remote, c *client.Client, _ []string) error {
		if last < 1 || last > health.Kept {
			return cliutil.Usagef("--last %d: want 1 to %d", last, health.Kept)
		}
		s, err := c.Events(ctx, last)
		switch {
		case err != nil:
			return err
		case r.json():
			if s.Events == nil {
				s.Events = []document.Event{}
			}
			return r.document(s.Events)
		}
		return printEvents(r, s)
	})
	cmd.Flags().IntVarP(&last, "last", "n", defaultEvents, fmt.Sprintf("how many events, 1 to %d", health.Kept))
	return cmd
}

// printEvents prints a table with a line for each event.
func printEvents(r *remote, s document.Status) error {
	if len(s.Events) == 0 {
		r.note("%s has seen no change", visible(s.Self))
	}
	t := newTable(r.cmd.OutOrStdout())
	fmt.Fprintln(t, "TIME\tEVENT\tMEMBER\tWHAT")
	for _, e := range s.Events {
		member := "-"
		if e.Member != "" {
			member = visible(e.Member)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", e.At.Local().Format(time.DateTime), e.Name, member, visible(e.Text))
	}
	return t.Flush()
}
