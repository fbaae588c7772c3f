package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"viakv/cmd/viakv/viakvtest"
)

// These tests do what docs/majority-lost.md tells an operator to do.

// said runs a command that asks a node, compares its exit code, and looks for a text in its output.
func (m *mesh) said(name string, code int, says string, args ...string) string {
	m.t.Helper()
	got, said := ran(m.t, append(args, "--endpoints", m.nodes[name].http)...)
	if got != code || !strings.Contains(said, says) {
		m.t.Fatalf("%v at %s: exit code %d, want %d and %q in:\n%s", args, name, got, code, says, said)
	}
	return said
}

// Two of three are killed and started again, empty. The survivor shows what it holds, and a forced
// leave makes it a cluster that serves.
func TestASurvivorIsReadAndServesAgain(t *testing.T) {
	t.Parallel()
	m := newMesh(t, "node-a", "node-b", "node-c")
	const pairs = `{"key":"color","value":"green"}` + "\n" + `{"key":"fruit","value":"kiwi"}` + "\n"
	for _, args := range [][]string{{"set", "color", "green"}, {"set", "fruit", "kiwi"}} {
		m.said("node-a", 0, "stored", append(args, "--w", "all")...)
	}
	kept := filepath.Join(t.TempDir(), "kept")
	reads := func() {
		t.Helper()
		for _, args := range [][]string{{"get", "color"}, {"get", "color", "--r", "2"}, {"is", "color"}, {"all"}, {"export"}} {
			if said := m.said("node-a", 3, "`--r 1`", args...); !strings.Contains(said, "`viakv status`") {
				t.Errorf("%v does not name viakv status: %s", args, said)
			}
		}
		m.said("node-a", 0, "green", "get", "color", "--r", "1")
		m.said("node-a", 0, "yes", "is", "color", "--r", "1")
		m.said("node-a", 1, "404", "get", "shape", "--r", "1")
		m.said("node-a", 0, "fruit", "keys", "--r", "1")
		m.said("node-a", 0, "kiwi", "values", "--r", "1")
		m.said("node-a", 0, "color\tgreen", "all", "--r", "1")
		m.said("node-a", 0, "exported 2 pairs", "export", kept, "--r", "1")
		for _, args := range [][]string{{"set", "color", "red", "--r", "1", "--w", "1"}, {"rm", "color", "--r", "1", "--w", "1"}} {
			if said := m.said("node-a", 3, "`viakv status`", args...); strings.Contains(said, "--r 1") {
				t.Errorf("%v is told to read less: %s", args, said)
			}
		}
	}
	m.kill("node-b")
	m.kill("node-c")
	reads()
	for _, n := range []string{"node-b", "node-c"} {
		m.boot(n)
		m.nodes[n].Line("admission")
		m.said(n, 3, "not an active member", "get", "color", "--r", "1")
	}
	reads()
	if content, err := os.ReadFile(kept); err != nil || sorted(string(content)) != sorted(pairs+`{"end":true,"count":2}`+"\n") {
		t.Errorf("the export has %q, %v", content, err)
	}

	m.said("node-a", 0, "node-b has left", "member", "leave", "node-b", "--force", "--yes")
	// The seeds of the two name the survivor. So they come back by themselves, and no second member
	// needs to be forced out.
	for _, n := range m.names {
		m.ready(n)
	}
	viakvtest.Await(t, "three members", func() bool { return m.cluster("node-a").N == 3 })
	m.equal(m.names...)
	m.said("node-b", 0, "removed", "rm", "fruit")
	m.said("node-c", 0, "stored", "set", "color", "red")
	m.said("node-a", 0, "imported 1 pairs; 1 keys were there", "import", "--missing", kept)
	for _, n := range m.names {
		m.said(n, 0, "red", "get", "color")
		m.said(n, 0, "kiwi", "get", "fruit")
	}
}

// In a cluster of two each acknowledged write is at both members, and a read checks that. So no
// smaller quorum gets past the absence of one, and the forced leave loses nothing.
func TestASurvivorOfTwoIsReadAfterTheForcedLeave(t *testing.T) {
	t.Parallel()
	m := newMesh(t, "node-a", "node-b")
	m.said("node-a", 0, "stored", "set", "color", "green")
	m.kill("node-b")
	m.said("node-a", 3, "with three members or more", "get", "color")
	if said := m.said("node-a", 3, "`viakv status`", "get", "color", "--r", "1"); strings.Contains(said, "with three members") {
		t.Errorf("what was tried is recommended: %s", said)
	}
	m.said("node-a", 0, "node-b has left", "member", "leave", "node-b", "--force", "--yes")
	m.said("node-a", 0, "green", "get", "color")
}

// Two survivors of five that see each other are read together.
func TestTwoSurvivorsAreReadTogether(t *testing.T) {
	t.Parallel()
	m := newMesh(t, "node-a", "node-b", "node-c", "node-d", "node-e")
	m.said("node-a", 0, "stored", "set", "color", "green", "--w", "all")
	for _, n := range []string{"node-c", "node-d", "node-e"} {
		m.kill(n)
	}
	m.said("node-a", 3, "", "get", "color")
	m.said("node-a", 0, "green", "get", "color", "--r", "2")
	m.said("node-b", 0, `"color"`, "export", "--r", "2")
	m.said("node-a", 0, "", "member", "leave", "node-c", "--force", "--yes")
	m.said("node-a", 3, "", "get", "color")
	m.said("node-a", 0, "", "member", "leave", "node-d", "--force", "--yes")
	m.lives("node-a", "color", "green")
	m.lives("node-b", "color", "green")
}

// sorted returns the lines of a text in order.
func sorted(text string) string {
	lines := strings.Split(text, "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
