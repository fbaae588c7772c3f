package cli

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"viakv/cmd/cliutil"
)

// healthCommand is the health check of an image, which has no shell.
func healthCommand() *cobra.Command {
	var address, admin, path string
	cmd := &cobra.Command{
		Use:   "health",
		Short: "Ask a node whether it is ready; exit status 0 if so",
		Args:  cliutil.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			state, known := map[string]string{"/readyz": "ready", "/livez": "alive"}[path]
			if !known {
				return cliutil.Usagef("--path %q: want /readyz or /livez", path)
			}
			if admin != "" {
				address = admin
			}
			client := http.Client{Timeout: 2 * time.Second}
			response, err := client.Get("http://" + dialable(address) + path)
			if err != nil {
				return fmt.Errorf("%w; name the node with --http HOST:PORT", err)
			}
			defer func() { _ = response.Body.Close() }()
			if response.StatusCode != http.StatusOK {
				reason, _ := io.ReadAll(io.LimitReader(response.Body, 4<<10))
				return fmt.Errorf("%s answers %s: %s", address, response.Status, bytes.TrimSpace(reason))
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s is %s\n", address, state)
			return err
		},
	}
	cmd.Flags().StringVar(&address, "http", "127.0.0.1:8080", "the node's HTTP address")
	cmd.Flags().StringVar(&admin, "admin", "", "the node's admin address, if it has one; asked instead of --http, and always without TLS")
	cmd.Flags().StringVar(&path, "path", "/readyz", "what to ask: /readyz or /livez")
	return cmd
}

// dialable turns an address to listen on into one to dial: an empty or unspecified host becomes
// this machine.
func dialable(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	if host == "" || net.ParseIP(host).IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}
