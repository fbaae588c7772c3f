//go:build compose

package e2e

import (
	"net"
	"slices"
	"strings"
	"testing"

	"viakv/cmd/viakv/viakvtest"
)

func TestComposeTakesEveryProfile(t *testing.T) {
	s, _ := newStack(t)
	for profile, want := range map[string]string{"scale": "node-e", "monitoring": "grafana", "cockroach": "cockroach-envoy", "mongo": "mongo-envoy"} {
		s.up("--profile", profile, "config", "-q")
		if services := strings.Fields(s.up("--profile", profile, "config", "--services")); !slices.Contains(services, want) || !slices.Contains(services, "envoy") {
			t.Errorf("the profile %s has the services %q", profile, services)
		}
	}
}

// saysWhatIsWrong checks what a user sees when the start meets a fault, and that the rest works.
func saysWhatIsWrong(t *testing.T, s *stack) {
	t.Log("one node is not there")
	s.up("up", "-d", "--no-deps", "node-a", "node-b", "envoy")
	id := s.container("node-a")
	viakvtest.Await(t, "node-a to say that it waits for node-c", func() bool {
		out, err := s.try("docker", "exec", id, "/viakv", "health", "--http", "127.0.0.1:8080")
		return err != nil && strings.Contains(out, "node-c:9080")
	})
	viakvtest.Await(t, "Envoy to refuse", func() bool {
		code, body := viakvtest.Fetch(t, s.proxy, "/set", "k", "k", "v", "v")
		return code == 503 && strings.Contains(body, `"outcome":"none"`)
	})
	viakvtest.Await(t, "node-a to say so through Envoy, too", func() bool {
		code, body := s.at("node-a", "/readyz")
		return code == 503 && strings.Contains(body, "node-c:9080")
	})

	t.Log("the port is in use")
	s.run(s.composed("rm", "-fs", "envoy")...)
	taken, err := net.Listen("tcp", s.proxy)
	if err != nil {
		t.Fatal(err)
	}
	out, err := s.try(s.composed("up", "-d", "node-a", "node-b", "node-c", "envoy")...)
	if err == nil || !strings.Contains(out, "address already in use") && !strings.Contains(out, "port is already allocated") {
		t.Errorf("%v, and compose says %s", err, out)
	}
	for _, n := range []string{"node-a", "node-b", "node-c"} {
		s.healthy(n) // only Envoy is missing
	}
	if err := taken.Close(); err != nil {
		t.Fatal(err)
	}

	t.Log("too little memory")
	t.Setenv("VIAKV_CONTAINER_MEMORY", "64m")
	t.Setenv("VIAKV_MAX_MEMORY", "1GiB")
	s.run(s.composed("up", "-d", "node-d")...)
	viakvtest.Await(t, "the log to say so", func() bool {
		out, err := s.try("docker", "logs", s.container("node-d"))
		return err == nil && strings.Contains(out, "does not fit into the container's 64MiB") && strings.Contains(out, "48MiB")
	})
	t.Setenv("VIAKV_MAX_MEMORY", "48MiB")
	s.run(s.composed("up", "-d", "node-d")...)
	s.healthy("node-d")
	if logs := s.run("docker", "logs", s.container("node-d")); !strings.Contains(logs, "limited the heap") {
		t.Errorf("the node does not know its container's limit:\n%s", logs)
	}
	s.run(s.composed("rm", "-fs", "node-d")...)
}
