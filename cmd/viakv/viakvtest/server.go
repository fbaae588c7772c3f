package viakvtest

import (
	"context"
	"encoding/json"
	"net/http"
	"testing"

	"github.com/spf13/pflag"
	"go.uber.org/zap"

	"viakv/api/document"
	"viakv/cmd/viakv/serve"
)

// Serve runs a node in this process as viakv serve does, until the test ends. It returns the node's
// HTTP and peer addresses.
func Serve(t *testing.T, name string, args ...string) (address, peer string) {
	t.Helper()
	var c serve.Config
	flags := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	c.Flags(flags)
	args = append([]string{"--name", name, "--http", "127.0.0.1:0", "--peer", "127.0.0.1:0", "--drain", "0s"}, args...)
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	if err := c.Check(); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	s, err := serve.New(ctx, &c, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("%s: %v", name, err)
		}
	})
	address = s.Addr().String()
	AwaitStatus(t, http.StatusOK, address, "/readyz")
	return address, ClusterOf(t, address).Members[0].Peer
}

// ClusterOf returns what a node says about its cluster.
func ClusterOf(t *testing.T, address string) (s document.Status) {
	t.Helper()
	_, body := Fetch(t, address, "/cluster")
	if err := json.Unmarshal([]byte(body), &s); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	return s
}
