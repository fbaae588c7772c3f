//go:build envoy && postgres

package e2e

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"viakv/cmd/viakv/viakvtest"
)

// TestEnvoyInFrontOfNodesOnPostgreSQL runs three nodes on one database behind the shipped
// configuration. A node that dies or is stopped costs no read, and every node has what was written.
// While the database is down, nothing is served, and no answer claims that something was done.
func TestEnvoyInFrontOfNodesOnPostgreSQL(t *testing.T) {
	s := newPostgres(t)
	store := s.URL(s.Database(t))
	addresses := []string{viakvtest.FreeAddress(t), viakvtest.FreeAddress(t), viakvtest.FreeAddress(t)}
	nodes := make([]*viakvtest.Process, len(addresses))
	boot := func(i int) {
		t.Helper()
		nodes[i] = startOn(t, store, "--name", fmt.Sprint("node-", i), "--http", addresses[i], "--log-level", "info")
		nodes[i].Serves()
	}
	for i := range nodes {
		boot(i)
	}
	proxy, admin := viakvtest.FreeAddress(t), viakvtest.FreeAddress(t)
	viakvtest.Launch(t, exec.Command(envoyBinary(t), "-c", statelessConfiguration(t, proxy, admin, addresses), "--disable-hot-restart", "--concurrency", "2", "--log-level", "warning"))
	healthy := func(n int) {
		t.Helper()
		viakvtest.Await(t, fmt.Sprint(n, " healthy nodes"), func() bool {
			_, body := viakvtest.Fetch(t, admin, "/clusters")
			return strings.Count(body, "health_flags::healthy") == n
		})
	}
	healthy(3)

	l := startLoad(t, proxy)
	l.progress(200)
	nodes[2].Kill()
	l.progress(300)
	boot(2)
	healthy(3)
	nodes[1].Stop()
	l.progress(300)
	boot(1)
	healthy(3)
	l.stop()
	l.wantFailures(1) // a change that the killed node was working on

	s.Kill()
	healthy(0)
	// The proxy's workers learn of that a moment after its page shows it.
	viakvtest.Await(t, "the proxy to refuse a change itself", func() bool {
		got, body := viakvtest.Fetch(t, proxy, "/set", "k", "color", "v", "green")
		return got == http.StatusServiceUnavailable && strings.Contains(body, "No node is ready") && strings.Contains(body, `"outcome":"none"`)
	})
	if err := s.Restart(); err != nil {
		t.Fatal(err)
	}
	healthy(3)
	viakvtest.Await(t, "a change through the proxy", func() bool {
		got, _ := viakvtest.Fetch(t, proxy, "/set", "k", "color", "v", "blue")
		return got == http.StatusOK
	})
	for _, address := range addresses {
		viakvtest.Expect(t, http.StatusOK, "blue", address, "/get", "k", "color")
	}
}

// statelessConfiguration writes the shipped configuration, with the addresses of this test in place
// of the name that stands for all nodes.
func statelessConfiguration(t *testing.T, proxy, admin string, nodes []string) string {
	t.Helper()
	text := string(viakvtest.Shipped(t, "docs/databases/envoy.yaml"))
	socket := func(address string) string {
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("address: %s, port_value: %s", host, port)
	}
	const endpoint = "        - endpoint: { address: { socket_address: { address: nodes, port_value: 8080 } } }\n"
	endpoints := ""
	for _, n := range nodes {
		endpoints += strings.Replace(endpoint, "address: nodes, port_value: 8080", socket(n), 1)
	}
	for old, with := range map[string]string{
		endpoint:                               endpoints,
		"address: 0.0.0.0, port_value: 8080":   socket(proxy),
		"address: 127.0.0.1, port_value: 9901": socket(admin),
	} {
		if n := strings.Count(text, old); n != 1 {
			t.Fatalf("%q is in the configuration %d times, want 1", old, n)
		}
		text = strings.Replace(text, old, with, 1)
	}
	path := filepath.Join(t.TempDir(), "envoy.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
