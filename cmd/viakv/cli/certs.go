package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"viakv/node/transport/tcp"
)

// certsCommand makes the certificates for mutual TLS between nodes, for development and small
// private meshes.
func certsCommand() *cobra.Command {
	var dir string
	var hosts []string
	cmd := &cobra.Command{
		Use:   "certs NODE...",
		Short: "Make a certificate authority and a certificate for each node, for TLS between them",
		Long: "Makes DIR/ca.crt and DIR/ca.key, unless they are there already, and DIR/NODE.crt and DIR/NODE.key for each node.\n" +
			"A certificate is good for its node's name or address, for localhost, and for what --hosts adds.\n" +
			"Start each node with --peer-tls DIR; the same files serve --tls-cert and --tls-key, and DIR/ca.crt the clients' --tls-ca.",
		Example: "  viakv certs node-a node-b node-c\n  viakv certs --hosts 10.0.0.7,kv.example.com node-a",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, names []string) error {
			files, err := tcp.MakeCertificates(dir, names, hosts...)
			for _, f := range files {
				fmt.Fprintln(cmd.OutOrStdout(), f)
			}
			return err
		},
	}
	cmd.Flags().StringSliceVar(&hosts, "hosts", nil, "more host names and addresses that clients will use, as in 10.0.0.7,kv.example.com")
	cmd.Flags().StringVar(&dir, "dir", "certs", "where to write them")
	return cmd
}
