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
	refuses := func(why string) {
		t.Helper()
		viakvtest.Await(t, "the survivor to notice", func() bool {
			code, status := ran(t, "status", "--endpoints", m.nodes["node-a"].http)
			return code == 3 && strings.Contains(status, why) && strings.Contains(status, "export FILE --r 1")
		})
	}
	m.kill("node-b")
	m.kill("node-c")
	refuses("no connection to node-b, no connection to node-c")
	m.refused("node-a", "color")
	reads()
	for _, n := range []string{"node-b", "node-c"} {
		m.boot(n)
		m.nodes[n].Line("admission")
		m.said(n, 3, "not an active member", "get", "color", "--r", "1")
	}
	refuses("node-b was restarted and has lost its memory, node-c was restarted and has lost its memory")
	reads()
	if content, err := os.ReadFile(kept); err != nil || sorted(string(content)) != sorted(pairs+`{"end":true,"count":2}`+"\n") {
		t.Errorf("the export has %q, %v", content, err)
	}

	m.said("node-a", 0, "what only node-b and node-c held is gone\nnode-b has left", "member", "leave", "node-b", "--force", "--yes")
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
	m.refused("node-a", "color")
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
	m.refused("node-a", "color")
	m.said("node-a", 3, "", "get", "color")
	m.said("node-a", 0, "green", "get", "color", "--r", "2")
	m.said("node-b", 0, `"color"`, "export", "--r", "2")
	m.said("node-a", 0, "", "member", "leave", "node-c", "--force", "--yes")
	m.said("node-a", 3, "", "get", "color")
	m.said("node-a", 0, "", "member", "leave", "node-d", "--force", "--yes")
	m.lives("node-a", "color", "green")
	m.lives("node-b", "color", "green")
}

// A member that is cut off, and was forced out for it, holds what only it and a dead one had
// acknowledged. It shows that until it hears that it was forced out.
func TestWhatACutOffMemberHeldIsBroughtBack(t *testing.T) {
	t.Parallel()
	l := lab(t, 3)
	try := func(i int, args ...string) (int, string) { return ran(t, append(args, "--endpoints", l.HTTP(i))...) }
	said := func(i, code int, says string, args ...string) {
		t.Helper()
		if got, said := try(i, args...); got != code || !strings.Contains(said, says) {
			t.Fatalf("%v at %s: exit code %d, want %d and %q in:\n%s", args, l.Name(i), got, code, says, said)
		}
	}
	said(0, 0, "stored", "set", "color", "old", "--w", "all")
	l.Isolate(0)
	for _, pair := range [][]string{{"color", "new"}, {"extra", "kiwi"}} {
		viakvtest.Await(t, "a write at two", func() bool { code, _ := try(1, append([]string{"set"}, pair...)...); return code == 0 })
	}
	l.Kill(2)
	said(0, 3, "`--r 1`", "get", "color")
	said(0, 0, "old", "get", "color", "--r", "1")
	said(1, 0, "new", "get", "color", "--r", "1")
	kept := filepath.Join(t.TempDir(), "kept")
	said(1, 0, "exported 2 pairs", "export", kept, "--r", "1")

	said(0, 0, "writes acknowledged by 2 of 3 members", "member", "leave", l.Name(1), "--force", "--yes")
	said(0, 0, "has left", "member", "leave", l.Name(2), "--force", "--yes")
	viakvtest.Await(t, "the survivor to serve", func() bool { code, _ := try(0, "get", "color"); return code == 0 })
	l.Calm()
	viakvtest.Await(t, "the other to know", func() bool {
		_, status := try(1, "status")
		return strings.Contains(status, "no member of its cluster any more")
	})
	said(1, 3, "not an active member", "get", "color", "--r", "1")

	said(1, 0, "is a member", "member", "join", l.Peer(0))
	said(1, 1, "404", "get", "extra")
	said(0, 0, "imported 1 pairs; 1 keys were there", "import", "--missing", kept)
	said(1, 0, "kiwi", "get", "extra")
	said(1, 0, "old", "get", "color")
	said(0, 0, "imported 2 pairs", "import", "--force", kept)
	said(1, 0, "new", "get", "color")
}

// sorted returns the lines of a text in order.
func sorted(text string) string {
	lines := strings.Split(text, "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
