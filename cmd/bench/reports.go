package main

import (
	"os"

	"github.com/spf13/cobra"

	"viakv/bench/report"
)

// compareCommand compares two reports.
func compareCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "compare BEFORE.json AFTER.json",
		Short: "Compare two reports, with confidence intervals",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			before, err := readReport(args[0])
			if err != nil {
				return err
			}
			after, err := readReport(args[1])
			if err != nil {
				return err
			}
			c, err := report.Compare(before, after)
			if err != nil {
				return err
			}
			return c.WriteText(cmd.OutOrStdout())
		},
	}
}

// showCommand shows a kept report or renders its files again.
func showCommand() *cobra.Command {
	var o outputs
	cmd := &cobra.Command{
		Use:   "show REPORT.json",
		Short: "Show a kept report, or render its files again",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := readReport(args[0])
			if err != nil {
				return err
			}
			return finish(r, o, cmd.OutOrStdout())
		},
	}
	o.flags(cmd.Flags())
	return cmd
}

func readReport(path string) (*report.Report, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return report.Read(f)
}
