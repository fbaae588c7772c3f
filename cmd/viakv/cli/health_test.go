package cli

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
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
	var out strings.Builder
	health := func(args ...string) error {
		cmd := root("test")
		cmd.SetOut(&out)
		cmd.SetArgs(append([]string{"health"}, args...))
		return cmd.Execute()
	}
	if err := health("--http", address, "--path", "/livez"); err != nil {
		t.Errorf("a live node: %v", err)
	}
	if want := address + " is alive\n"; out.String() != want {
		t.Errorf("a live node: printed %q, want %q", out.String(), want)
	}
	if err := health("--http", address); err == nil || !strings.Contains(err.Error(), "rebuilding") {
		t.Errorf("a node that is not ready: error %v, want its reason", err)
	}
	if err := health("--http", "127.0.0.1:1", "--admin", address, "--path", "/livez"); err != nil {
		t.Errorf("the admin address was not asked instead: %v", err)
	}
	node.Close()
	if err := health("--http", address, "--path", "/livez"); err == nil {
		t.Error("a node that is gone is healthy")
	}
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
