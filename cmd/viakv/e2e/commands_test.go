package e2e

import (
	"strings"
	"testing"

	"viakv/cmd/viakv/viakvtest"
)

// ran runs a command in a process of its own, and returns its exit code and output.
func ran(t *testing.T, args ...string) (code int, said string) {
	t.Helper()
	cmd := viakvtest.Command(t, args...)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

func TestWithoutAQuorumCommandsAreUnavailable(t *testing.T) {
	t.Parallel()
	m := newMesh(t, "node-a", "node-b", "node-c")
	m.kill("node-b")
	m.kill("node-c")
	command := func(args ...string) (code int, said string) {
		return ran(t, append(args, "--endpoints", m.nodes["node-a"].http)...)
	}
	viakvtest.Await(t, "the survivor to notice", func() bool {
		_, said := command("status")
		return m.cluster("node-a").Leader == "" && strings.Contains(said, "refusing")
	})
	m.refused("node-a", "color")
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"get", "color"}, 3, "viakv status"},
		{[]string{"set", "color", "green"}, 3, ""},
		{[]string{"member", "plan", "leave", "node-b"}, 6, "1 of 3 members answers"},
		{[]string{"member", "leave", "node-b", "--force"}, 2, "--yes"},
		{[]string{"member", "leave", "node-b", "--force", "--yes"}, 0, "node-b has left"},
	} {
		if code, said := command(c.args...); code != c.code || !strings.Contains(said, c.says) {
			t.Errorf("%v: exit code %d, want %d and %q in:\n%s", c.args, code, c.code, c.says, said)
		}
	}
}
