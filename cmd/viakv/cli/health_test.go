package cli

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"viakv/cmd/cliutil"
)

func TestHealth(t *testing.T) {
	node := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/readyz" {
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = w.Write([]byte(`{"detail":"rebuilding"}`))
		}
	}))
	defer node.Close()
	address := node.Listener.Addr().String()
	if r := wants(t, 0, "", cli(t, "", "health", "--http", address, "--path", "/livez")); r.out != address+" is alive\n" {
		t.Errorf("a live node: printed %q", r.out)
	}
	wants(t, cliutil.ExitFailed, "rebuilding", cli(t, "", "health", "--http", address))
	wants(t, 0, "", cli(t, "", "health", "--http", "127.0.0.1:1", "--admin", address, "--path", "/livez"))
	node.Close()
	wants(t, cliutil.ExitFailed, "", cli(t, "", "health", "--http", address, "--path", "/livez"))
}

func TestDialable(t *testing.T) {
	for address, want := range map[string]string{
		":8080": "127.0.0.1:8080", "0.0.0.0:8080": "127.0.0.1:8080", "[::]:8080": "127.0.0.1:8080",
		"127.0.0.1:8080": "127.0.0.1:8080", "node-a:8080": "node-a:8080", "[::1]:8080": "[::1]:8080",
	} {
		if got := dialable(address); got != want {
			t.Errorf("%q is dialled as %q, want %q", address, got, want)
		}
	}
}
