package cli

import (
	"context"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"viakv/api/client"
	"viakv/api/document"
	"viakv/cmd/cliutil"
)

func memberPlanCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "plan join|leave [NODE]",
		Short: "Show what a join, or the leave of NODE, would do to the quorums; changes nothing",
		Long: "Shows the quorums, and how many failures reads and writes survive, now and after the change. Exit status 6 if it would be refused, so\n" +
			"`viakv member plan leave NODE && viakv member leave NODE` does what it says.",
		Example: "  viakv member plan join\n  viakv member plan leave node-c",
		Args:    cobra.RangeArgs(1, 2),
	}
	newRemote(cmd, func(ctx context.Context, r *remote, c *client.Client, args []string) error {
		join := args[0] == "join"
		if !join && args[0] != "leave" || join && len(args) == 2 || !join && len(args) == 1 {
			return cliutil.Usagef("want `%[1]s join` or `%[1]s leave NODE`", cmd.CommandPath())
		}
		var p document.Plan
		var err error
		if join {
			p, err = c.PlanJoin(ctx)
		} else {
			p, err = c.PlanLeave(ctx, args[1])
		}
		switch {
		case err != nil:
			return err
		case r.json():
			err = r.document(p)
		default:
			err = printPlan(r, &p)
		}
		if err == nil && !p.Possible {
			err = &codedError{code: exitRefused, err: fmt.Errorf("the %s would be refused: %s", visible(p.Change), p.Reason)}
		}
		return err
	})
	return cmd
}

// printPlan shows a plan to a person.
func printPlan(r *remote, p *document.Plan) error {
	t := tabwriter.NewWriter(r.cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "%s\tnow\tafter\n", visible(p.Change))
	for _, row := range []struct {
		what       string
		now, after int
	}{
		{"members (N)", p.Now.N, p.After.N}, {"serving", p.Now.Serving, p.After.Serving},
		{"read quorum (R)", p.Now.R, p.After.R}, {"write quorum (W)", p.Now.W, p.After.W},
		{"failures that reads survive", p.Now.ReadFailures, p.After.ReadFailures},
		{"failures that writes survive", p.Now.WriteFailures, p.After.WriteFailures},
	} {
		fmt.Fprintf(t, "%s\t%d\t%d\n", row.what, row.now, row.after)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, n := range p.Notes {
		if err := r.print("note: %s\n", n); err != nil {
			return err
		}
	}
	return nil
}
