package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"viakv/node/transport/tcp"
)

// certsCommand makes what mutual TLS between nodes needs, for development and small private meshes.
func certsCommand() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "certs NODE...",
		Short: "Make a certificate authority and a certificate for each node, for TLS between them",
		Long: "Makes DIR/ca.crt and DIR/ca.key, unless they are there already, and DIR/NODE.crt and DIR/NODE.key for each node.\n" +
			"Start each node with --peer-ca DIR/ca.crt --peer-cert DIR/NODE.crt --peer-key DIR/NODE.key.",
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, names []string) error {
			files, err := tcp.MakeCertificates(dir, names)
			for _, f := range files {
				fmt.Fprintln(cmd.OutOrStdout(), f)
			}
			return err
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "certs", "where to write them")
	return cmd
}
