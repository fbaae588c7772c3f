package docs

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
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
	ignored, err := os.ReadFile(filepath.Join(module, ".gitignore"))
	if err != nil {
		t.Fatal(err)
	}
	made := strings.Fields(string(ignored)) // what make writes: /bin/, /out/
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
		b, err := os.ReadFile(filepath.Join(module, filepath.FromSlash(file)))
		if err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(b, []byte("\n")); n > maxLines {
			t.Errorf("%s has %d lines: split it by concept", file, n)
		}
	}
}
