package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"viakv/cmd/cliutil"
	"viakv/cmd/viakv/viakvtest"
)

func TestASignalDrains(t *testing.T) {
	t.Parallel()
	p, address := viakvtest.ServeOne(t, "--drain", "1500ms")
	viakvtest.Expect(t, http.StatusOK, "", address, "/set", "k", "color", "v", "green")
	p.Signal(syscall.SIGTERM)
	viakvtest.AwaitStatus(t, http.StatusServiceUnavailable, address, "/readyz")
	viakvtest.Expect(t, http.StatusOK, "", address, "/livez")
	viakvtest.Expect(t, http.StatusOK, "green", address, "/get", "k", "color")
	p.Exits(0)
	if got := viakvtest.Status(t, address, "/livez"); got != 0 {
		t.Errorf("the address still answers: %d", got)
	}
}

func TestASecondSignalEndsAtOnce(t *testing.T) {
	p, address := viakvtest.ServeOne(t, "--drain", "10m")
	p.Signal(syscall.SIGINT)
	viakvtest.AwaitStatus(t, http.StatusServiceUnavailable, address, "/readyz")
	p.Signal(syscall.SIGINT)
	p.Exits(cliutil.ExitFailed)
}

func TestHealthOfARunningNode(t *testing.T) {
	_, address := viakvtest.ServeOne(t)
	for _, path := range []string{"/readyz", "/livez"} {
		viakvtest.Start(t, "health", "--http", address, "--path", path).Exits(0)
	}
}

func TestAPortThatIsTaken(t *testing.T) {
	_, address := viakvtest.ServeOne(t)
	for _, flag := range []string{"--http", "--peer", "--admin"} {
		args := []string{"serve", "--http", "127.0.0.1:0", "--peer", "127.0.0.1:0", flag, address}
		p := viakvtest.Start(t, args...)
		p.Exits(cliutil.ExitFailed)
		if l := p.Line(address); !strings.Contains(l, flag) || !strings.Contains(l, "choose another") {
			t.Errorf("%q does not say which flag to change", l)
		}
	}
}

func TestADatabaseThatDoesNotExist(t *testing.T) {
	file := filepath.Join(t.TempDir(), "store")
	if err := os.WriteFile(file, []byte("postgres://user:hunter2@127.0.0.1:1/\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := viakvtest.Start(t, "serve", "--http", "127.0.0.1:0", "--store-file", file)
	p.Exits(cliutil.ExitFailed)
	p.Line("names no database")
	if out := strings.Join(p.Lines(), "\n"); strings.Contains(out, "hunter2") {
		t.Errorf("the password is shown:\n%s", out)
	}
}
