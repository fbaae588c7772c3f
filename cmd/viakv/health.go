package main

import (
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"
)

// healthCommand is the health check of an image that has no shell.
func healthCommand() *cobra.Command {
	var address, path string
	cmd := &cobra.Command{
		Use:   "health",
		Short: "Ask a node whether it is ready; exit status 0 if so",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client := http.Client{Timeout: 2 * time.Second}
			response, err := client.Get("http://" + dialable(address) + path)
			if err != nil {
				return err
			}
			defer func() { _ = response.Body.Close() }()
			if response.StatusCode != http.StatusOK {
				return fmt.Errorf("%s answers %s", address, response.Status)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&address, "http", "127.0.0.1:8080", "the node's HTTP address")
	cmd.Flags().StringVar(&path, "path", "/readyz", "what to ask: /readyz or /livez")
	return cmd
}
