package main

import (
	"context"
	"encoding/json"
	"net/http"
	"testing"

	"github.com/spf13/pflag"
	"go.uber.org/zap"

	"viakv/api/document"
)

// runServer runs a server in this process, as serve does, until the test ends, and returns its HTTP and peer addresses.
func runServer(t *testing.T, name string, args ...string) (address, peer string) {
	t.Helper()
	var c config
	flags := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	c.flags(flags)
	args = append([]string{"--name", name, "--http", "127.0.0.1:0", "--peer", "127.0.0.1:0", "--drain", "0s"}, args...)
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	if err := c.check(); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	s, err := newServer(ctx, &c, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("%s: %v", name, err)
		}
	})
	address = s.addr().String()
	await(t, name+" to be ready", func() bool { return status(t, address, "/readyz") == http.StatusOK })
	return address, clusterOf(t, address).Members[0].Peer
}

func clusterOf(t *testing.T, address string) (s document.Status) {
	t.Helper()
	_, body := fetch(t, address, "/cluster")
	if err := json.Unmarshal([]byte(body), &s); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	return s
}
