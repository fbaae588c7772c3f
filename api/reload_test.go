package api

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
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

// After the clock is set back, the files are still looked at.
func TestFilesAreLookedAtWhenTheClockIsSetBack(t *testing.T) {
	file := filepath.Join(t.TempDir(), "value")
	put := func(s string) {
		if err := os.WriteFile(file, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	load := func() (*string, error) {
		b, err := os.ReadFile(file)
		s := strings.TrimSpace(string(b))
		return &s, err
	}
	put("old")
	w, err := watch("value", zap.NewNop(), load, file)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	w.now = func() time.Time { return now }
	if got := *w.get(); got != "old" {
		t.Fatal(got)
	}
	put("newer")
	now = now.Add(-24 * time.Hour)
	if got := *w.get(); got != "newer" {
		t.Errorf("got %q after the clock was set back", got)
	}
	put("newest of all")
	if got := *w.get(); got != "newer" {
		t.Errorf("looked again at once: %q", got)
	}
	now = now.Add(watchInterval)
	if got := *w.get(); got != "newest of all" {
		t.Errorf("got %q a second later", got)
	}
}

// A file that could not be read is read again although it has not changed: the reason may have been
// another. The log has each reason once.
func TestFilesThatCouldNotBeReadAreReadAgain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "value")
	put := func(s string) {
		if err := os.WriteFile(file, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var trouble error
	load := func() (*string, error) {
		b, err := os.ReadFile(file)
		s := string(b)
		return &s, errors.Join(trouble, err)
	}
	put("old")
	core, logs := observer.New(zap.ErrorLevel)
	w, err := watch("value", zap.New(core), load, file)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	w.now = func() time.Time { now = now.Add(watchInterval); return now }
	put("newer")
	trouble = errors.New("too many open files")
	for range 3 {
		if got := *w.get(); got != "old" {
			t.Fatalf("got %q", got)
		}
	}
	if n := logs.Len(); n != 1 {
		t.Errorf("one reason is %d times in the log", n)
	}
	trouble = nil
	if got := *w.get(); got != "newer" {
		t.Errorf("got %q after the trouble", got)
	}
}
