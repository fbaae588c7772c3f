package cli

import (
	"context"

	"github.com/spf13/cobra"

	"viakv/api/client"
	"viakv/cmd/cliutil"
)

func memberJoinCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "join PEER",
		Short: "Make the node at --endpoints a member of the mesh that PEER belongs to",
		Long: "Makes the node at --endpoints a full member of the mesh that PEER (a member's peer address, HOST:PORT) belongs to, and waits until it is.\n" +
			"What the node held on its own is brought along. `viakv member plan join`, asked of the mesh, shows beforehand what that does to its quorums.",
		Example: "  viakv member join --endpoints 127.0.0.1:8084 127.0.0.1:9081",
		Args:    cobra.ExactArgs(1),
	}
	newRemote(cmd, func(ctx context.Context, r *remote, c *client.Client, args []string) error {
		if err := r.one("join changes the node that is asked"); err != nil {
			return err
		}
		if err := cliutil.CheckAddress("PEER", args[0]); err != nil {
			return err
		}
		j, err := c.Join(ctx, args[0])
		switch {
		case err != nil:
			return err
		case r.json():
			return r.document(j)
		}
		return r.print("%s is a member of cluster %s, which has %d: %v\n", visible(j.Node), j.Cluster, len(j.Members), j.Members)
	})
	return cmd
}
