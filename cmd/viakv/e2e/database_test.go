//go:build postgres || mongodb

package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"viakv/cmd/viakv/viakvtest"
)

// These tests run whole processes on a real database. The files beside this one start the
// databases; the requests to a node are the same on each.

// startPatience is enough for a process that itself waits for a database for 30 s.
const startPatience = 3 * viakvtest.Patience

// realDatabase is a database server that belongs to one test.
type realDatabase struct {
	url           string // of an empty database
	secrets       []string
	mode          string // as /cluster calls it
	stop, restart func()
}

// startOn starts viakv with the store named by a variable of its environment.
func startOn(t *testing.T, url string, args ...string) *viakvtest.Process {
	t.Helper()
	cmd := viakvtest.Command(t, append([]string{"serve", "--http", "127.0.0.1:0", "--log-format", "json", "--log-level", "debug"}, args...)...)
	cmd.Env = append(cmd.Env, "VIAKV_STORE="+url)
	return viakvtest.Launch(t, cmd)
}

// says asks a node and wants a certain text in its answer.
func says(t *testing.T, want int, text, address, path string, arguments ...string) {
	t.Helper()
	got, body := viakvtest.Fetch(t, address, path, arguments...)
	if got != want || !strings.Contains(body, text) {
		t.Fatalf("%s %v: %d %s\nwant %d and %q in it", path, arguments, got, body, want, text)
	}
}

// keeps fails the test if a text shows one of the secrets.
func keeps(t *testing.T, secrets []string, what, text string) {
	t.Helper()
	for _, secret := range secrets {
		if strings.Contains(text, secret) {
			t.Errorf("%s shows the secret %q:\n%s", what, secret, text)
		}
	}
}

// twoNodes checks that two processes on one database are one store, that they follow the database
// when it stops and comes back, and that they lose nothing.
func twoNodes(t *testing.T, d realDatabase) {
	file := filepath.Join(t.TempDir(), "store")
	if err := os.WriteFile(file, []byte(d.url+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	// The file wins over the environment.
	one := startOn(t, "memory", "--name", "one", "--store-file", file)
	two := startOn(t, d.url, "--name", "two")
	a, b := one.Serves(), two.Serves()

	viakvtest.Expect(t, http.StatusOK, "", a, "/set", "k", "fruit", "v", "äpple")
	viakvtest.Expect(t, http.StatusOK, "äpple", b, "/get", "k", "fruit")
	viakvtest.Expect(t, http.StatusOK, "", b, "/set", "k", "root", "v", "beet")
	viakvtest.Expect(t, http.StatusOK, "beet", a, "/get", "k", "root")
	viakvtest.Expect(t, http.StatusOK, "", b, "/rm", "k", "fruit")
	viakvtest.Expect(t, http.StatusNotFound, "", a, "/get", "k", "fruit")
	says(t, http.StatusOK, "beet", a, "/getAll")
	viakvtest.Expect(t, http.StatusOK, "", b, "/clear")
	viakvtest.Expect(t, http.StatusNotFound, "", a, "/get", "k", "root")
	viakvtest.Expect(t, http.StatusOK, "", a, "/set", "k", "kept", "v", "through the outage")

	for _, address := range []string{a, b} {
		says(t, http.StatusConflict, "stateless", address, "/join", "peer", "127.0.0.1:9080")
		says(t, http.StatusConflict, "stateless", address, "/leave")
		says(t, http.StatusConflict, "stateless", address, "/reads", "mode", "quorum")
		says(t, http.StatusOK, `"mode": "`+d.mode+`"`, address, "/cluster")
		says(t, http.StatusOK, `viakv_database_connections{state="in_use"}`, address, "/metrics")
	}
	viakvtest.Start(t, "health", "--http", a).Exits(0)

	d.stop()
	for _, address := range []string{a, b} {
		viakvtest.AwaitStatus(t, http.StatusServiceUnavailable, address, "/readyz")
		says(t, http.StatusServiceUnavailable, "database", address, "/readyz")
		says(t, http.StatusOK, "", address, "/livez")
		says(t, http.StatusServiceUnavailable, `"outcome":"none"`, address, "/get", "k", "kept")
		says(t, http.StatusServiceUnavailable, `"outcome":`, address, "/set", "k", "other", "v", "x")
		viakvtest.Await(t, "the metrics to notice, too", func() bool {
			_, body := viakvtest.Fetch(t, address, "/metrics")
			return strings.Contains(body, "viakv_node_active 0")
		})
		says(t, http.StatusOK, `"unavailable"`, address, "/cluster")
		for _, path := range []string{"/readyz", "/cluster", "/metrics", "/get?k=kept"} {
			_, body := viakvtest.Fetch(t, address, path)
			keeps(t, d.secrets, path, body)
		}
	}
	if code := viakvtest.Start(t, "health", "--http", a).Exit(); code == 0 {
		t.Error("viakv health: exit code 0 with the database down")
	}
	// The log has no line about an outage that ends before a node checks, so wait for the line.
	for _, p := range []*viakvtest.Process{one, two} {
		p.Line("not ready: the database cannot be used")
	}
	d.restart()
	for _, address := range []string{a, b} {
		viakvtest.AwaitStatus(t, http.StatusOK, address, "/readyz")
		viakvtest.Await(t, "what was written before to be read", func() bool {
			got, body := viakvtest.Fetch(t, address, "/get", "k", "kept")
			return got == http.StatusOK && strings.TrimSpace(body) == "through the outage"
		})
	}
	for _, p := range []*viakvtest.Process{one, two} {
		p.Line("ready again")
		p.Stop()
		keeps(t, d.secrets, "the log", strings.Join(p.Lines(), "\n"))
	}
}

// badStart is a mistake that must keep a node from starting.
type badStart struct {
	name, url string
	want      string // text in what the process says
}

// refuses checks that each mistake ends the process with an exit code above zero and a message
// about it, and that the process has served nothing meanwhile.
func refuses(t *testing.T, secrets []string, mistakes []badStart) {
	for _, m := range mistakes {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			p := startOn(t, m.url, "--name", "refused")
			if code := p.ExitWithin(startPatience); code <= 0 {
				t.Errorf("exit code %d, want one above zero", code)
			}
			p.Line(m.want)
			out := strings.Join(p.Lines(), "\n")
			if strings.Contains(out, `"msg":"serving"`) {
				t.Errorf("it served before it ended:\n%s", out)
			}
			keeps(t, secrets, "the output", out)
		})
	}
}
