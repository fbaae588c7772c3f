package docs

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"viakv/cmd/viakv/viakvtest"
)

// topLevel are all names at the top level, beside those that begin with a dot. A newcomer to the
// repository should see at once what it consists of.
var topLevel = []string{
	"cmd", "ring", "node", "quorum", "handoff", "api", "bench", "docs",
	"docker-compose.yml", "envoy.yaml", "Dockerfile", "Makefile", "go.mod", "go.sum", "README.md", "LICENSE", "CHANGELOG.md",
}

// maxLines is the largest number of lines that a file may have; most files have less than a quarter
// of it. A longer file has more than one concept.
const maxLines = 600

func TestTheTopLevelStaysSmall(t *testing.T) {
	made := strings.Fields(string(viakvtest.Shipped(t, ".gitignore"))) // what make writes: /bin/, /out/
	entries, err := os.ReadDir(module)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		name := e.Name()
		if !strings.HasPrefix(name, ".") && !slices.Contains(topLevel, name) && !slices.Contains(made, "/"+name+"/") {
			t.Errorf("%s stands at the top level: put it into the package that uses it", name)
		}
	}
	for _, name := range []string{"README.md", "LICENSE", "CHANGELOG.md", "Makefile", "docs"} {
		if _, err := os.Stat(filepath.Join(module, name)); err != nil {
			t.Error(err)
		}
	}
}

func TestNoFileHoldsTooMuch(t *testing.T) {
	for file := range sources(t) {
		if n := bytes.Count(viakvtest.Shipped(t, file), []byte("\n")); n > maxLines {
			t.Errorf("%s has %d lines: split it by concept", file, n)
		}
	}
}
