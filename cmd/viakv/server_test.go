package main

import (
	"context"
	"encoding/json"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"go.uber.org/zap"

	"viakv/api/document"
	"viakv/node/transport/tcp"
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
	address = s.http.Addr().String()
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

func TestNodesJoinServeAndLeave(t *testing.T) {
	a, meeting := runServer(t, "node-a")
	b, _ := runServer(t, "node-b")
	c, _ := runServer(t, "node-c")
	expect(t, http.StatusOK, "", a, "/set", "k", "of-a", "v", "1")
	expect(t, http.StatusOK, "", b, "/set", "k", "of-b", "v", "2")
	for _, address := range []string{b, c} {
		expect(t, http.StatusOK, "", address, "/join", "peer", meeting)
	}
	for _, address := range []string{a, b, c} {
		if s := clusterOf(t, address); s.N != 3 || s.W != 2 || len(s.Members) != 3 {
			t.Fatalf("%s sees %+v, want three members", address, s)
		}
		expect(t, http.StatusOK, "1", address, "/get", "k", "of-a")
		expect(t, http.StatusOK, "2", address, "/get", "k", "of-b")
	}
	expect(t, http.StatusConflict, "", b, "/join", "peer", meeting)
	expect(t, http.StatusOK, "", c, "/rm", "k", "of-a")
	expect(t, http.StatusNotFound, "", a, "/rm", "k", "of-a")
	expect(t, http.StatusOK, `{"of-b":"2"}`, a, "/getAll")
	expect(t, http.StatusOK, "", a, "/leave", "node", "node-c")
	expect(t, http.StatusOK, "", b, "/set", "k", "later", "v", "3")
	expect(t, http.StatusOK, "3", a, "/get", "k", "later")
	expect(t, http.StatusOK, "", b, "/clear")
	expect(t, http.StatusNotFound, "", a, "/get", "k", "later")
	expect(t, http.StatusOK, "{}", b, "/getAll")
}

func TestNodesWithCertificatesRefuseOneWithout(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := tcp.MakeCertificates(dir, []string{"node-a", "node-b"}); err != nil {
		t.Fatal(err)
	}
	in := func(file string) string { return filepath.Join(dir, file) }
	a, meeting := runServer(t, "node-a", "--peer-tls", dir)
	b, _ := runServer(t, "node-b", "--peer-ca", in("ca.crt"), "--peer-cert", in("node-b.crt"), "--peer-key", in("node-b.key"))
	plain, _ := runServer(t, "node-p")
	expect(t, http.StatusBadGateway, "", plain, "/join", "peer", meeting)
	expect(t, http.StatusOK, "", b, "/join", "peer", meeting)
	expect(t, http.StatusOK, "", a, "/set", "k", "color", "v", "green")
	expect(t, http.StatusOK, "green", b, "/get", "k", "color")
	if s := clusterOf(t, a); s.N != 2 {
		t.Errorf("%d members, want two", s.N)
	}
}

func TestTheAdminListenerServesHealthAndNoData(t *testing.T) {
	admin := freeAddress(t)
	runServer(t, "node-a", "--admin", admin)
	await(t, "the admin listener", func() bool { return status(t, admin, "/readyz") == http.StatusOK })
	got, body := fetch(t, admin, "/metrics")
	if got != http.StatusOK {
		t.Errorf("/metrics: %d", got)
	}
	for _, name := range []string{"viakv_build_info{", "viakv_node_active 1", "viakv_store_keys 0", "viakv_http_connections ", "go_goroutines ", "process_open_fds "} {
		if !strings.Contains(body, "\n"+name) {
			t.Errorf("/metrics does not show %s", name)
		}
	}
	expect(t, http.StatusNotFound, "", admin, "/getAll")
}
