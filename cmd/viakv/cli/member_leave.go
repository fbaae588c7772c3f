package cli

import (
	"context"

	"github.com/spf13/cobra"

	"viakv/api/client"
)

func memberLeaveCommand() *cobra.Command {
	var force, yes bool
	cmd := &cobra.Command{
		Use:   "leave [NODE]",
		Short: "Remove a member, dead or alive; without NODE the one at --endpoints",
		Long: "Removes the member from the mesh once the others hold what it held. A change that would lose the quorum is refused.\n" +
			"--force is the way out when a majority is gone for good: asked of a survivor, it removes NODE without the others' consent,\n" +
			"and says what may be lost by that.",
		Example: "  viakv member leave node-c",
		Args:    cobra.MaximumNArgs(1),
	}
	newRemote(cmd, func(ctx context.Context, r *remote, c *client.Client, args []string) error {
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
		switch {
		case err != nil:
			return err
		case r.json():
			return r.document(report)
		}
		if report.MayLose != "" {
			r.note("%s", report.MayLose)
		}
		return r.print("%s has left at epoch %d\n", visible(report.Node), report.Epoch)
	})
	cmd.Flags().BoolVar(&force, "force", false, "without a majority's consent; acknowledged writes may be lost")
	cmd.Flags().BoolVar(&yes, "yes", false, "with --force: do not ask")
	return cmd
}
