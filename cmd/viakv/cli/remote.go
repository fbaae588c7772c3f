package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"viakv/api/client"
	"viakv/cmd/cliutil"
)

// remote is what all commands that ask a cluster have in common.
type remote struct {
	cmd *cobra.Command

	endpoints              []string
	token, tokenFile       string
	tlsCA, tlsCert, tlsKey string
	timeout                time.Duration
	output                 string
}

// defaultEndpoints are the addresses of the first node of `viakv dev`, and of the only one of
// `viakv serve`.
var defaultEndpoints = []string{"127.0.0.1:8081", "127.0.0.1:8080"}

// remoteCommand makes cmd a command that asks a cluster, and returns it. The command calls run with
// a client, and gives a failure its exit code.
func remoteCommand(cmd *cobra.Command, run func(context.Context, *remote, *client.Client, []string) error) *cobra.Command {
	r := &remote{cmd: cmd}
	f := cmd.Flags()
	f.StringSliceVar(&r.endpoints, "endpoints", defaultEndpoints, "nodes, or balancers before them: HOST:PORT or https://HOST:PORT,...; the first that answers is asked")
	f.StringVar(&r.token, "token", "", "bearer token; in a process list it is public, so prefer --token-file or VIAKV_TOKEN")
	f.StringVar(&r.tokenFile, "token-file", "", "read the bearer token from this file")
	f.StringVar(&r.tlsCA, "tls-ca", "", "the authority that signed the nodes' certificates; endpoints without a scheme are then https")
	f.StringVar(&r.tlsCert, "tls-cert", "", "certificate to show to nodes that ask for one")
	f.StringVar(&r.tlsKey, "tls-key", "", "its key")
	f.DurationVar(&r.timeout, "timeout", 5*time.Second, "deadline of one request; without it, joins, leaves, clears and changes of reads have 3 minutes")
	f.StringVarP(&r.output, "output", "o", "table", "table or json")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := r.client()
		if err != nil {
			return err
		}
		defer c.Close()
		ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
		defer stop()
		return classify(run(ctx, r, c, args))
	}
	return cmd
}

// client checks the flags and makes a client of the endpoints.
func (r *remote) client() (*client.Client, error) {
	if r.output != "table" && r.output != "json" {
		return nil, cliutil.Usagef("--output %q: want table or json", r.output)
	}
	if r.timeout <= 0 {
		return nil, cliutil.Usagef("--timeout %v: want more than zero", r.timeout)
	}
	token, err := r.bearer()
	if err != nil {
		return nil, cliutil.Usage(err)
	}
	secure, err := r.tls()
	if err != nil {
		return nil, cliutil.Usage(err)
	}
	config := client.Config{Endpoints: r.addresses(), Token: token, TLS: secure, Timeout: r.timeout}
	if r.cmd.Flags().Changed("timeout") {
		config.ControlTimeout = r.timeout
	}
	c, err := client.New(config)
	if err != nil {
		return nil, cliutil.Usage(err)
	}
	return c, nil
}

func (r *remote) addresses() (out []string) {
	for _, e := range r.endpoints {
		if e = strings.TrimSpace(e); r.tlsCA != "" && !strings.Contains(e, "://") {
			e = "https://" + e
		}
		out = append(out, e)
	}
	return out
}

func (r *remote) bearer() (string, error) {
	switch {
	case r.tokenFile == "":
		return r.token, nil
	case r.token != "":
		return "", errors.New("--token and --token-file: give one of them")
	}
	b, err := os.ReadFile(r.tokenFile)
	if err != nil {
		return "", fmt.Errorf("--token-file: %w", err)
	}
	return strings.TrimSpace(string(b)), nil
}

// tls returns nil when no flag asks for more than the system's authorities.
func (r *remote) tls() (*tls.Config, error) {
	if r.tlsCA == "" && r.tlsCert == "" && r.tlsKey == "" {
		return nil, nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if r.tlsCA != "" {
		pem, err := os.ReadFile(r.tlsCA)
		if err != nil {
			return nil, fmt.Errorf("--tls-ca: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("--tls-ca %s: there is no certificate in it", r.tlsCA)
		}
	}
	if r.tlsCert != "" || r.tlsKey != "" {
		pair, err := tls.LoadX509KeyPair(r.tlsCert, r.tlsKey)
		if err != nil {
			return nil, fmt.Errorf("--tls-cert and --tls-key: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// one returns a usage error unless the user has named exactly one node.
func (r *remote) one(what string) error {
	if !r.cmd.Flags().Changed("endpoints") || len(r.endpoints) != 1 {
		return cliutil.Usagef("%s: name that one node with --endpoints", what)
	}
	return nil
}
