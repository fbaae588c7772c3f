package serve_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"viakv/cmd/viakv/viakvtest"
	"viakv/node/transport/tcp"
)

func TestNodesJoinServeAndLeave(t *testing.T) {
	a, meeting := viakvtest.Serve(t, "node-a")
	b, _ := viakvtest.Serve(t, "node-b")
	c, _ := viakvtest.Serve(t, "node-c")
	viakvtest.Expect(t, http.StatusOK, "", a, "/set", "k", "of-a", "v", "1")
	viakvtest.Expect(t, http.StatusOK, "", b, "/set", "k", "of-b", "v", "2")
	for _, address := range []string{b, c} {
		viakvtest.Expect(t, http.StatusOK, "", address, "/join", "peer", meeting)
	}
	for _, address := range []string{a, b, c} {
		if s := viakvtest.ClusterOf(t, address); s.N != 3 || s.W != 2 || len(s.Members) != 3 {
			t.Fatalf("%s sees %+v, want three members", address, s)
		}
		viakvtest.Expect(t, http.StatusOK, "1", address, "/get", "k", "of-a")
		viakvtest.Expect(t, http.StatusOK, "2", address, "/get", "k", "of-b")
	}
	viakvtest.Expect(t, http.StatusConflict, "", b, "/join", "peer", meeting)
	viakvtest.Expect(t, http.StatusOK, "", c, "/rm", "k", "of-a")
	viakvtest.Expect(t, http.StatusNotFound, "", a, "/rm", "k", "of-a")
	viakvtest.Expect(t, http.StatusOK, `{"of-b":"2"}`, a, "/getAll")
	viakvtest.Expect(t, http.StatusOK, "", a, "/leave", "node", "node-c")
	viakvtest.Expect(t, http.StatusOK, "", b, "/set", "k", "later", "v", "3")
	viakvtest.Expect(t, http.StatusOK, "3", a, "/get", "k", "later")
	viakvtest.Expect(t, http.StatusOK, "", b, "/clear")
	viakvtest.Expect(t, http.StatusNotFound, "", a, "/get", "k", "later")
	viakvtest.Expect(t, http.StatusOK, "{}", b, "/getAll")
}

func TestNodesWithCertificatesRefuseOneWithout(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := tcp.MakeCertificates(dir, []string{"node-a", "node-b"}); err != nil {
		t.Fatal(err)
	}
	in := func(file string) string { return filepath.Join(dir, file) }
	a, meeting := viakvtest.Serve(t, "node-a", "--peer-tls", dir)
	b, _ := viakvtest.Serve(t, "node-b", "--peer-ca", in("ca.crt"), "--peer-cert", in("node-b.crt"), "--peer-key", in("node-b.key"))
	plain, _ := viakvtest.Serve(t, "node-p")
	viakvtest.Expect(t, http.StatusBadGateway, "", plain, "/join", "peer", meeting)
	viakvtest.Expect(t, http.StatusOK, "", b, "/join", "peer", meeting)
	viakvtest.Expect(t, http.StatusOK, "", a, "/set", "k", "color", "v", "green")
	viakvtest.Expect(t, http.StatusOK, "green", b, "/get", "k", "color")
	if s := viakvtest.ClusterOf(t, a); s.N != 2 {
		t.Errorf("%d members, want two", s.N)
	}
}

func TestTheAdminListenerServesHealthAndNoData(t *testing.T) {
	admin := viakvtest.FreeAddress(t)
	viakvtest.Serve(t, "node-a", "--admin", admin)
	viakvtest.AwaitStatus(t, http.StatusOK, admin, "/readyz")
	got, body := viakvtest.Fetch(t, admin, "/metrics")
	if got != http.StatusOK {
		t.Errorf("/metrics: %d", got)
	}
	for _, name := range []string{"viakv_build_info{", "viakv_node_active 1", "viakv_store_keys 0", "viakv_http_connections ", "go_goroutines ", "process_open_fds "} {
		if !strings.Contains(body, "\n"+name) {
			t.Errorf("/metrics does not show %s", name)
		}
	}
	viakvtest.Expect(t, http.StatusNotFound, "", admin, "/getAll")
}

func TestARequestIsCountedOnTheMetricsPage(t *testing.T) {
	address, _ := viakvtest.Serve(t, "node-a")
	viakvtest.Expect(t, http.StatusOK, "", address, "/set", "k", "color", "v", "green")
	viakvtest.Expect(t, http.StatusOK, "green", address, "/get", "k", "color")
	_, body := viakvtest.Fetch(t, address, "/metrics")
	for _, line := range []string{"viakv_writes_total 1", "viakv_reads_total 1", "viakv_digest_drift_total 0"} {
		if !strings.Contains(body, "\n"+line+"\n") {
			t.Errorf("/metrics does not show %s", line)
		}
	}
	// Promtool would say this: a counter ends with _total, and no other metric does.
	for _, found := range regexp.MustCompile(`(?m)^# TYPE (viakv_\w+) (\w+)$`).FindAllStringSubmatch(body, -1) {
		if counter := found[2] == "counter"; counter != strings.HasSuffix(found[1], "_total") {
			t.Errorf("%s is a %s", found[1], found[2])
		}
	}
}

// TestTheLimitOfConnectionsIsAFlag checks that of more connections than the flag allows, at least
// one is refused at once and told why.
func TestTheLimitOfConnectionsIsAFlag(t *testing.T) {
	const limit = 3
	a, _ := viakvtest.Serve(t, "node-a", "--max-connections-per-ip", fmt.Sprint(limit))
	refused := 0
	for range limit + 1 {
		c, err := net.Dial("tcp", a)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }() // open until all have asked
		if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Fprintf(c, "GET /livez HTTP/1.1\r\nHost: %s\r\n\r\n", a); err != nil {
			t.Fatal(err)
		}
		r, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = r.Body.Close()
		if r.StatusCode == http.StatusServiceUnavailable && r.Header.Get("Retry-After") != "" {
			refused++
		}
	}
	if refused == 0 {
		t.Errorf("%d connections of one address are served, and %d are allowed", limit+1, limit)
	}
}
