package main

import (
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/spf13/cobra"

	"viakv/bench/baseline"
	"viakv/cmd/cliutil"
)

// baselineCommand serves one bare server. The server ends when its standard input ends, so that it
// cannot outlive the program that started it. At a terminal Ctrl-C or Ctrl-D ends it.
func baselineCommand() *cobra.Command {
	var address string
	cmd := &cobra.Command{
		Use:   "baseline",
		Short: "Serve a map over HTTP, to see what this machine can do at most",
		Long:  "Serve a map over HTTP, with nothing behind it: the limit to compare a cluster with.\nbench run and bench scan start these by themselves with --baseline. It ends when its input does.",
		Args:  cliutil.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, err := net.Listen("tcp", address)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s%s\n", baseline.Ready, l.Addr())
			ended := make(chan struct{})
			go func() {
				_, _ = io.Copy(io.Discard, cmd.InOrStdin())
				close(ended)
			}()
			served := make(chan error, 1)
			go func() { served <- baseline.Serve(l) }()
			select {
			case <-cmd.Context().Done():
			case <-ended:
			case err := <-served:
				return err
			}
			return errors.Join(l.Close(), <-served)
		},
	}
	cmd.Flags().StringVar(&address, "http", "127.0.0.1:0", "where to serve")
	return cmd
}
