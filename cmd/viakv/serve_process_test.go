package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"viakv/cmd/cliutil"
)

func TestASignalDrains(t *testing.T) {
	t.Parallel()
	p, address := serveOne(t, "--drain", "1500ms")
	expect(t, http.StatusOK, "", address, "/set", "k", "color", "v", "green")
	p.signal(syscall.SIGTERM)
	await(t, "the node to be unready", func() bool { return status(t, address, "/readyz") == http.StatusServiceUnavailable })
	expect(t, http.StatusOK, "", address, "/livez")
	expect(t, http.StatusOK, "green", address, "/get", "k", "color")
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d after a drain, want 0", code)
	}
	if got := status(t, address, "/livez"); got != 0 {
		t.Errorf("somebody still answers: %d", got)
	}
}

func TestASecondSignalEndsAtOnce(t *testing.T) {
	p, address := serveOne(t, "--drain", "10m")
	p.signal(syscall.SIGINT)
	await(t, "the node to be unready", func() bool { return status(t, address, "/readyz") == http.StatusServiceUnavailable })
	p.signal(syscall.SIGINT)
	if code := p.exit(); code != cliutil.ExitFailed {
		t.Errorf("exit code %d, want %d", code, cliutil.ExitFailed)
	}
}

func TestHealthOfARunningNode(t *testing.T) {
	_, address := serveOne(t)
	for _, path := range []string{"/readyz", "/livez"} {
		if code := start(t, "health", "--http", address, "--path", path).exit(); code != 0 {
			t.Errorf("%s: exit code %d, want 0", path, code)
		}
	}
}

func TestAPortThatIsTaken(t *testing.T) {
	_, address := serveOne(t)
	for _, flag := range []string{"--http", "--peer", "--admin"} {
		args := []string{"serve", "--http", "127.0.0.1:0", "--peer", "127.0.0.1:0", flag, address}
		p := start(t, args...)
		if code := p.exit(); code != cliutil.ExitFailed {
			t.Errorf("%s: exit code %d, want %d", flag, code, cliutil.ExitFailed)
		}
		if l := p.line(address); !strings.Contains(l, flag) || !strings.Contains(l, "choose another") {
			t.Errorf("%q does not say which flag to change", l)
		}
	}
}

func TestADatabaseThatDoesNotExist(t *testing.T) {
	file := filepath.Join(t.TempDir(), "store")
	if err := os.WriteFile(file, []byte("postgres://user:hunter2@127.0.0.1:1/\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, "serve", "--http", "127.0.0.1:0", "--store-file", file)
	if code := p.exit(); code != cliutil.ExitFailed {
		t.Errorf("exit code %d, want %d", code, cliutil.ExitFailed)
	}
	p.line("names no database")
	if out := strings.Join(p.lines(), "\n"); strings.Contains(out, "hunter2") {
		t.Errorf("the password is shown:\n%s", out)
	}
}
