//go:build compose

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"viakv/api/document"
	"viakv/cmd/viakv/viakvtest"
)

// stack is what docker-compose.yml starts, seen from outside.
type stack struct {
	t       *testing.T
	proxy   string
	compose []string
}

// try runs a command, for five minutes at most, and returns what it printed.
func (s *stack) try(command ...string) (string, error) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Dir = viakvtest.ModuleRoot(s.t)
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// run runs a command that must succeed.
func (s *stack) run(command ...string) string {
	s.t.Helper()
	out, err := s.try(command...)
	if err != nil {
		s.t.Fatalf("%v: %v\n%s", command, err, out)
	}
	return out
}

// composed returns a command of compose that sees the services of all profiles.
func (s *stack) composed(arguments ...string) []string {
	command := slices.Concat(s.compose, []string{"--profile", "scale", "--profile", "cockroach", "--profile", "mongo"})
	return append(command, arguments...)
}

func (s *stack) up(arguments ...string) string {
	s.t.Helper()
	return s.run(slices.Concat(s.compose, arguments)...)
}

// containers returns the ids of a service's containers.
func (s *stack) containers(service string) []string {
	s.t.Helper()
	return strings.Fields(s.run(s.composed("ps", "-q", service)...))
}

// container returns the id of a service's only container.
func (s *stack) container(service string) string {
	s.t.Helper()
	ids := s.containers(service)
	if len(ids) != 1 {
		s.t.Fatalf("%s has the containers %q", service, ids)
	}
	return ids[0]
}

func (s *stack) inspect(service, format string) string {
	s.t.Helper()
	return s.run("docker", "inspect", "--format", format, s.container(service))
}

// serving returns the members as the node that the proxy asks sees them, and whether each of them
// can be reached and serves.
func (s *stack) serving() map[string]bool {
	s.t.Helper()
	code, body := viakvtest.Fetch(s.t, s.proxy, "/cluster")
	return servingOn(code, body)
}

// servingOn returns the members that a node's page shows, and whether each can be reached and
// serves.
func servingOn(code int, body string) (serves map[string]bool) {
	var page document.Status
	serves = map[string]bool{}
	if code == 200 && json.Unmarshal([]byte(body), &page) == nil {
		for _, m := range page.Members {
			serves[m.Name] = m.State == "active" && m.Reachable
		}
	}
	return serves
}

// allServe reports whether exactly the named are members, and all of them serve.
func allServe(serves map[string]bool, names []string) bool {
	for _, n := range names {
		if !serves[n] {
			return false
		}
	}
	return len(serves) == len(names)
}

// members waits until exactly these are members, and all of them serve.
func (s *stack) members(names ...string) {
	s.t.Helper()
	viakvtest.Await(s.t, fmt.Sprint("the members ", names), func() bool { return allServe(s.serving(), names) })
}

// whole waits until all of these nodes are ready, and then until each of them reaches all. The
// members' pages alone do not tell that a killed node is back: they list the killed process until
// the other members admit the new one.
func (s *stack) whole(names ...string) {
	s.t.Helper()
	for _, n := range names {
		s.ready(n)
	}
	for _, n := range names {
		viakvtest.Await(s.t, fmt.Sprint(n, " to reach ", names), func() bool { return allServe(servingOn(s.at(n, "/cluster")), names) })
	}
}

// lost waits until the other members no longer reach a member.
func (s *stack) lost(name string) {
	s.t.Helper()
	viakvtest.Await(s.t, "the loss of "+name+" to be noticed", func() bool {
		there, member := s.serving()[name]
		return member && !there
	})
}

// ready waits until a node, asked through Envoy, says that it is ready.
func (s *stack) ready(service string) {
	s.t.Helper()
	viakvtest.Await(s.t, service+" to be ready", func() bool {
		status, _ := s.at(service, "/readyz")
		return status == http.StatusOK
	})
}

// healthy waits until a container's own health check passes. Otherwise it logs the check's output.
func (s *stack) healthy(service string) {
	s.t.Helper()
	id, last := s.container(service), ""
	defer func() {
		if s.t.Failed() {
			s.t.Logf("%s: %s", service, last)
		}
	}()
	viakvtest.Await(s.t, service+" to be healthy", func() bool {
		out, err := s.try("docker", "exec", id, "/viakv", "health", "--http", "127.0.0.1:8080")
		last = fmt.Sprint(out, " ", err)
		return err == nil
	})
}

// at asks one node through Envoy, by the host name that leads to it.
func (s *stack) at(node, path string) (status int, body string) {
	s.t.Helper()
	request, err := http.NewRequest(http.MethodGet, "http://"+s.proxy+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(s.proxy)
	if err != nil {
		s.t.Fatal(err)
	}
	request.Host = net.JoinHostPort(node+".localhost", port)
	response, err := (&http.Client{Timeout: viakvtest.AnswerTime}).Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = response.Body.Close() }()
	b, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err.Error()
	}
	return response.StatusCode, string(b)
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// newStack starts nothing. What the test starts is stopped and removed at its end.
func newStack(t *testing.T) (s *stack, bench string) {
	t.Helper()
	compose := strings.Fields(os.Getenv("VIAKV_COMPOSE"))
	if len(compose) == 0 {
		t.Fatal("VIAKV_COMPOSE is not set: run make test-compose, which finds the engine and builds the images")
	}
	port, benchPort := freePort(t), freePort(t)
	t.Setenv("VIAKV_PORT", port)
	t.Setenv("BENCH_PORT", benchPort)
	s = &stack{t: t, proxy: "127.0.0.1:" + port, compose: compose}
	t.Cleanup(func() {
		if t.Failed() {
			out, _ := s.try(s.composed("logs", "--no-color", "--tail", "60")...)
			t.Log(out)
		}
		s.run(s.composed("down", "-v", "--timeout", "5")...)
	})
	return s, "127.0.0.1:" + benchPort
}

// All parts use one mesh, because each start takes a while.
func TestComposeMesh(t *testing.T) {
	s, bench := newStack(t)
	for _, part := range []struct {
		name string
		try  func(t *testing.T, s *stack)
	}{
		{"what is wrong at the start is said", saysWhatIsWrong},
		{"what the README says is there", func(t *testing.T, s *stack) { startsWhatTheReadmeSays(t, s, bench) }},
		{"no reads are lost", losesNoReads},
	} {
		if !t.Run(part.name, func(t *testing.T) { part.try(t, &stack{t: t, proxy: s.proxy, compose: s.compose}) }) {
			return
		}
	}
}

func startsWhatTheReadmeSays(t *testing.T, s *stack, bench string) {
	s.up("up", "-d")
	s.members("node-a", "node-b", "node-c")
	viakvtest.Expect(t, 200, "", s.proxy, "/clear")
	viakvtest.Expect(t, 200, "", s.proxy, "/set", "k", "color", "v", "green")
	viakvtest.Expect(t, 200, "green", s.proxy, "/get", "k", "color")
	key, value := strings.Repeat("\U0001F600", 64), strings.Repeat("\U0001F680", 256)
	viakvtest.Expect(t, 200, "", s.proxy, "/set", "k", key, "v", value)
	viakvtest.Expect(t, 200, value, s.proxy, "/get", "k", key)
	var all map[string]string
	if code, body := viakvtest.Fetch(t, s.proxy, "/getAll"); code != 200 || json.Unmarshal([]byte(body), &all) != nil || len(all) != 2 || all[key] != value {
		t.Errorf("/getAll: %d with %d pairs", code, len(all))
	}
	if code, body := viakvtest.Fetch(t, s.proxy, "/console"); code != 200 || !strings.Contains(body, "<html") {
		t.Errorf("the console: %d", code)
	}
	for _, n := range []string{"node-a", "node-b", "node-c"} { // through Envoy, by each node's own name
		if code, body := s.at(n, "/console"); code != 200 || !strings.Contains(body, "<html") {
			t.Errorf("the console of %s: %d", n, code)
		}
		var page document.Status
		if code, body := s.at(n, "/cluster"); code != 200 || json.Unmarshal([]byte(body), &page) != nil || page.Self != n {
			t.Errorf("%s answers %d as %s", n, code, page.Self)
		}
	}
	viakvtest.AwaitStatus(t, http.StatusOK, bench, "/")

	for _, n := range []string{"node-a", "node-b", "node-c"} {
		viakvtest.Await(t, n+" to be healthy", func() bool { return s.inspect(n, "{{.State.Health.Status}}") == "healthy" })
		for format, want := range map[string]string{
			"{{.Config.User}}": "65532:65532", "{{.HostConfig.ReadonlyRootfs}}": "true", "{{len .NetworkSettings.Ports}} {{range .NetworkSettings.Ports}}{{len .}}{{end}}": "2 00",
			"{{.HostConfig.RestartPolicy.Name}}": "unless-stopped",
		} {
			if got := s.inspect(n, format); got != want {
				t.Errorf("%s: %s is %q, want %q", n, format, got, want)
			}
		}
	}
	// Ports are published on loopback only.
	for service, ports := range map[string]string{"envoy": "127.0.0.1", "bench": "127.0.0.1"} {
		if got := s.inspect(service, "{{range .NetworkSettings.Ports}}{{range .}}{{.HostIp}}{{end}}{{end}}"); got != ports {
			t.Errorf("%s is published on %q", service, got)
		}
	}
}

func losesNoReads(t *testing.T, s *stack) {
	seeds := []string{"node-a", "node-b", "node-c"}
	l := startLoad(t, s.proxy)
	l.progress(200)
	faults := 0
	phase := func(what string, act func()) {
		t.Log(what)
		faults++
		act()
		l.progress(300)
	}
	network := strings.Fields(s.inspect("node-a", "{{range $name, $_ := .NetworkSettings.Networks}}{{$name}} {{end}}"))[0]

	phase("node-c is killed", func() {
		s.run("docker", "kill", s.container("node-c"))
		s.lost("node-c")
	})
	s.run("docker", "start", s.container("node-c"))
	s.whole(seeds...)

	phase("node-b is paused", func() {
		s.run("docker", "pause", s.container("node-b")) // its connections stay, so no page shows it
		l.progress(1000)
	})
	s.run("docker", "unpause", s.container("node-b"))
	s.whole(seeds...)

	phase("node-a is cut off", func() {
		s.run("docker", "network", "disconnect", network, s.container("node-a"))
		l.progress(1000)
	})
	s.run("docker", "network", "connect", "--alias", "node-a", network, s.container("node-a"))
	s.whole(seeds...)

	phase("node-d joins and leaves", func() {
		s.run(s.composed("up", "-d", "node-d")...)
		s.ready("node-d")
		// A join is refused until node-a has reached the other members again.
		viakvtest.Await(t, "node-d to join", func() bool {
			return exec.Command("docker", "exec", s.container("node-d"), "/viakv", "member", "join", "--endpoints", "127.0.0.1:8080", "node-a:9080").Run() == nil
		})
		s.members(append([]string{"node-d"}, seeds...)...)
		l.progress(300)
		s.run("docker", "exec", s.container("node-d"), "/viakv", "member", "leave", "--endpoints", "127.0.0.1:8080")
		s.members(seeds...)
	})
	phase("node-a is restarted", func() {
		s.run("docker", "restart", s.container("node-a"))
		s.whole(seeds...)
	})
	l.stop()
	l.wantFailures(faults)
}
