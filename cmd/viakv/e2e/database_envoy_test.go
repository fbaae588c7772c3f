//go:build envoy && postgres

package e2e

import (
	"fmt"
	"net/http"
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
	launchEnvoy(t, statelessConfiguration(t, proxy, admin, addresses))
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

// statelessConfiguration returns the shipped configuration, with the addresses of this test in
// place of the name that stands for all nodes.
func statelessConfiguration(t *testing.T, proxy, admin string, nodes []string) string {
	t.Helper()
	text := listening(t, string(viakvtest.Shipped(t, "docs/databases/envoy.yaml")), proxy, admin)
	const endpoint = "        - endpoint: { address: { socket_address: { address: nodes, port_value: 8080 } } }\n"
	endpoints := ""
	for _, n := range nodes {
		endpoints += strings.Replace(endpoint, "address: nodes, port_value: 8080", socket(t, n), 1)
	}
	return replaced(t, text, endpoint, endpoints, 1)
}
