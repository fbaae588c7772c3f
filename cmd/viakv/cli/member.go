package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"viakv/api/client"
	"viakv/api/document"
	"viakv/api/kv"
	"viakv/cmd/cliutil"
)

func memberCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "member",
		Short: "List the members, add or remove one, see beforehand what that would do, and say how they answer reads",
		Args:  cliutil.KnownCommand,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(memberListCommand(), memberJoinCommand(), memberLeaveCommand(), memberPlanCommand(), memberReadsCommand())
	return cmd
}

func memberListCommand() *cobra.Command {
	return remoteCommand(&cobra.Command{
		Use:   "list",
		Short: "List the members as the node that answers sees them",
		Args:  cliutil.NoArguments,
	}, func(ctx context.Context, r *remote, c *client.Client, _ []string) error {
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
		return printMembers(r.cmd.OutOrStdout(), s)
	})
}

// printMembers prints a table with a line for each member.
func printMembers(out io.Writer, s document.Status) error {
	if s.Mode != "mesh" {
		_, err := fmt.Fprintf(out, "no members: the nodes keep their data in a database (%s)\n", s.Mode)
		return err
	}
	t := newTable(out)
	fmt.Fprintln(t, "NAME\tSTATE\tREACH\tHTTP\tPEER\tOWNS\tHINTS\tROUND TRIP\tSYNC")
	for i := range s.Members {
		m := &s.Members[i]
		reach, hints, trip := m.Reach, fmt.Sprint(m.Hints), "-"
		if !m.Reachable && !m.Since.IsZero() {
			reach += " since " + m.Since.Local().Format(time.TimeOnly)
		}
		if m.RTTMicros > 0 {
			trip = (time.Duration(m.RTTMicros) * time.Microsecond).String()
		}
		if m.State == "vacant" { // there is no process
			reach = "-"
		}
		if m.Name == s.Self {
			reach, hints = "self", "-"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%.1f%%\t%s\t%s\t%s\n",
			visible(m.Name), m.State, reach, m.HTTP, m.Peer, 100*m.Ownership, hints, trip, describeSync(m.Sync))
	}
	return t.Flush()
}

func describeSync(s *document.Sync) string {
	if s == nil {
		return "-"
	}
	return fmt.Sprintf("%s %.0f%%, %d keys, %.0fs left", s.Kind, 100*s.Done, s.Keys, s.LeftSecs)
}

func memberJoinCommand() *cobra.Command {
	return remoteCommand(&cobra.Command{
		Use:   "join PEER",
		Short: "Make the node at --endpoints a member of the mesh that PEER belongs to",
		Long: "Makes the node at --endpoints a full member of the mesh that PEER (a member's peer address, HOST:PORT) belongs to, and waits until it is.\n" +
			"What the node held on its own is brought along. `viakv member plan join`, asked of the mesh, shows beforehand what that does to its quorums.",
		Example: "  viakv member join --endpoints 127.0.0.1:8084 127.0.0.1:9081",
		Args:    cobra.ExactArgs(1),
	}, func(ctx context.Context, r *remote, c *client.Client, args []string) error {
		if err := r.one("join changes the node that is asked"); err != nil {
			return err
		}
		if err := cliutil.CheckAddress("PEER", args[0]); err != nil {
			return err
		}
		j, err := c.Join(ctx, args[0])
		if err != nil {
			return err
		}
		return r.answer(j, "%s is a member of cluster %s, which has %d: %v\n", visible(j.Node), j.Cluster, len(j.Members), j.Members)
	})
}

func memberLeaveCommand() *cobra.Command {
	var force, yes bool
	cmd := remoteCommand(&cobra.Command{
		Use:   "leave [NODE]",
		Short: "Remove a member, dead or alive; without NODE the one at --endpoints",
		Long: "Removes the member from the mesh once the others hold what it held. A change that would lose the quorum is refused.\n" +
			"--force is the way out when a majority is gone for good: asked of a survivor, it removes NODE without the others' consent,\n" +
			"and says what may be lost by that.",
		Example: "  viakv member leave node-c",
		Args:    cobra.MaximumNArgs(1),
	}, func(ctx context.Context, r *remote, c *client.Client, args []string) error {
		name := ""
		if len(args) == 1 {
			name = args[0]
		} else if err := r.one("without NODE, the node that is asked leaves"); err != nil {
			return err
		}
		if force {
			if err := r.confirm(yes, "This removes a member without the others' consent, and acknowledged writes may be lost."); err != nil {
				return err
			}
		}
		report, err := c.Leave(ctx, name, force)
		if err != nil {
			return err
		}
		if report.MayLose != "" && !r.json() {
			r.note("%s", report.MayLose)
		}
		return r.answer(report, "%s has left at epoch %d\n", visible(report.Node), report.Epoch)
	})
	cmd.Flags().BoolVar(&force, "force", false, "without a majority's consent; acknowledged writes may be lost")
	cmd.Flags().BoolVar(&yes, "yes", false, "with --force: do not ask")
	return cmd
}

func memberPlanCommand() *cobra.Command {
	return remoteCommand(&cobra.Command{
		Use:   "plan join|leave [NODE]",
		Short: "Show what a join, or the leave of NODE, would do to the quorums; changes nothing",
		Long: "Shows the quorums, and how many failures reads and writes survive, now and after the change. Exit status 6 if it would be refused, so\n" +
			"`viakv member plan leave NODE && viakv member leave NODE` does what it says.",
		Example: "  viakv member plan join\n  viakv member plan leave node-c",
		Args:    cobra.RangeArgs(1, 2),
	}, func(ctx context.Context, r *remote, c *client.Client, args []string) error {
		join := args[0] == "join"
		if !join && args[0] != "leave" || join && len(args) == 2 || !join && len(args) == 1 {
			return cliutil.Usagef("want `%[1]s join` or `%[1]s leave NODE`", r.cmd.CommandPath())
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
}

func memberReadsCommand() *cobra.Command {
	return remoteCommand(&cobra.Command{
		Use:   "reads lease|quorum",
		Short: "Make the members answer reads by lease or by quorum, without a restart",
		Long: "By lease, a member answers from its own copy where other members have promised to wait for it. That needs clocks whose rates differ by\n" +
			"less than a tenth: a machine that stands still while others go on, as one that is moved, may answer old values for the length of a lease.\n" +
			"By quorum, each read asks other members, and needs no clock. Once the command has ended, no member answers in the former way any more.\n" +
			"`viakv status` shows which it is. `viakv serve --reads` says it for a cluster that is founded.",
		Example: "  viakv member reads quorum\n  viakv member reads lease",
		Args:    cobra.ExactArgs(1),
	}, func(ctx context.Context, r *remote, c *client.Client, args []string) error {
		reads, known := kv.ParseReads(args[0])
		if !known {
			return cliutil.Usagef("want `%[1]s lease` or `%[1]s quorum`", r.cmd.CommandPath())
		}
		done, err := c.SetReads(ctx, reads)
		if err != nil {
			return err
		}
		return r.answer(done, "reads are answered by %s at epoch %d\n", visible(done.Reads), done.Epoch)
	})
}

// printPlan prints a plan for a person.
func printPlan(r *remote, p *document.Plan) error {
	t := newTable(r.cmd.OutOrStdout())
	fmt.Fprintf(t, "%s\tnow\tafter\n", visible(p.Change))
	for _, row := range []struct {
		what       string
		now, after int
	}{
		{"members (N)", p.Now.N, p.After.N}, {"serving", p.Now.Serving, p.After.Serving},
		{"read quorum (R)", p.Now.R, p.After.R}, {"write quorum (W)", p.Now.W, p.After.W},
		{"failures tolerated, reads", p.Now.ReadFailures, p.After.ReadFailures},
		{"failures tolerated, writes", p.Now.WriteFailures, p.After.WriteFailures},
	} {
		fmt.Fprintf(t, "%s\t%d\t%d\n", row.what, row.now, row.after)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	notes := p.Notes
	if p.MayLose != "" {
		notes = append(slices.Clone(notes), "by force, "+p.MayLose)
	}
	for _, n := range notes {
		if err := r.print("note: %s\n", visible(n)); err != nil {
			return err
		}
	}
	return nil
}
