package cli

import (
	"github.com/spf13/cobra"
)

func memberCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "member",
		Short: "List the members, add or remove one, and see beforehand what that would do",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(memberListCommand(), memberJoinCommand(), memberLeaveCommand(), memberPlanCommand())
	return cmd
}
