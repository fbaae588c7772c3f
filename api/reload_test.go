package api

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// Reload loads what files hold, even when nothing shows that they have changed.
func TestReload(t *testing.T) {
	const first, second = "0123456789abcdef", "fedcba9876543210"
	file := filepath.Join(t.TempDir(), "tokens")
	stamp := time.Now().Add(-time.Hour)
	write := func(content string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(file, stamp, stamp); err != nil {
			t.Fatal(err)
		}
	}
	write("read " + first + " somebody\n")
	core, logs := observer.New(zap.InfoLevel)
	h := start(t, Config{TokenFile: file, Logger: zap.New(core)})
	status := func(token string) int { return h.get("/get?k=a", "Authorization", "Bearer "+token).status }
	if status(first) != 404 || status(second) != 401 {
		t.Fatal("the first token does not count")
	}
	write("read " + second + " somebody\n")
	h.server.Reload()
	if status(first) != 401 || status(second) != 404 {
		t.Error("the second token does not count")
	}
	write("nonsense\n")
	h.server.Reload()
	if status(second) != 404 {
		t.Error("a file with a fault was taken over")
	}
	if n := logs.FilterMessageSnippet("taken over").Len(); n != 2 {
		t.Errorf("%d log lines for two reloads, want 2", n)
	}
}
