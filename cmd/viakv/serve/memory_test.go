package serve

import (
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"viakv/cmd/cliutil"
)

func TestAContainersMemoryIsFound(t *testing.T) {
	for name, c := range map[string]struct {
		file, text string
		want       int64
	}{
		"version 2":               {"memory.max", "67108864\n", 64 << 20},
		"version 2 without limit": {"memory.max", "max\n", 0},
		"version 1":               {"memory/memory.limit_in_bytes", "67108864\n", 64 << 20},
		"version 1 without limit": {"memory/memory.limit_in_bytes", "9223372036854771712\n", 0},
		"no cgroup":               {"other", "", 0},
	} {
		root := t.TempDir()
		path := filepath.Join(root, filepath.FromSlash(c.file))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := containerMemory(root); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

func TestANodeFitsItselfIntoItsContainer(t *testing.T) {
	t.Setenv("GOMEMLIMIT", "")
	before := debug.SetMemoryLimit(-1)
	t.Cleanup(func() { debug.SetMemoryLimit(before) })
	const limit = 1 << 30
	for name, c := range map[string]struct {
		limit int64
		store bytesValue
		heap  int64
		warns bool
		err   string
	}{
		"no limit":             {0, 5 << 30, math.MaxInt64, false, ""},
		"room for both":        {limit, 700 << 20, limit / 4, false, ""},
		"little room":          {limit, 900 << 20, limit / 4, true, ""},
		"no limit of its own":  {limit, 0, limit / 4, true, ""},
		"more than there is":   {limit, 2 << 30, math.MaxInt64, false, "768MiB"},
		"a little more":        {limit, limit + 1, math.MaxInt64, false, "give the container more"},
		"exactly all there is": {limit, limit, limit / 4, true, ""},
	} {
		debug.SetMemoryLimit(math.MaxInt64)
		core, logs := observer.New(zap.WarnLevel)
		err := fitMemory(zap.New(core), c.limit, c.store)
		switch {
		case c.err == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.err != "" && (!cliutil.IsUsage(err) || !strings.Contains(err.Error(), c.err)):
			t.Errorf("%s: %v does not say %q", name, err, c.err)
		}
		if got := debug.SetMemoryLimit(-1); got != c.heap {
			t.Errorf("%s: the heap is limited to %d, want %d", name, got, c.heap)
		}
		if got := logs.Len() > 0; got != c.warns {
			t.Errorf("%s: warned %v", name, logs.All())
		}
	}
}
