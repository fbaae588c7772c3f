package e2e

import (
	"testing"

	"viakv/cmd/viakv/viakvtest"
)

// A mesh is founded with a way to answer reads, is told another one while it runs, and keeps that
// through the restart of members that were started with the former one.
func TestReadsAreSetWhileTheMeshRuns(t *testing.T) {
	t.Parallel()
	start := func(args ...string) *viakvtest.Process {
		return viakvtest.Start(t, append(args, "--reads", "quorum", "--lease", "50ms")...)
	}
	m := formed(&mesh{t: t, start: start}, "a", "b", "c")
	wants := func(reads string) {
		t.Helper()
		for _, name := range []string{"a", "b", "c"} {
			if s := m.cluster(name); s.Reads != reads || s.LeaseMicros != 50_000 {
				t.Errorf("%s: reads by %q, a lease of %d µs, want %q", name, s.Reads, s.LeaseMicros, reads)
			}
		}
	}
	wants("quorum")
	m.set("a", "k", "1")
	m.ask("b", 400, "/reads", "mode", "both")
	m.ask("b", 200, "/reads", "mode", "lease")
	wants("lease")
	epoch := m.cluster("a").Epoch
	m.ask("c", 200, "/reads", "mode", "lease")
	if again := m.cluster("a").Epoch; again != epoch {
		t.Errorf("what was so already took epoch %d after %d", again, epoch)
	}
	m.kill("c")
	m.back("c")
	wants("lease")
	m.want("c", "k", "1")
	m.kill("b")
	m.ask("a", 200, "/reads", "mode", "quorum")
	m.back("b")
	wants("quorum")
	m.want("b", "k", "1")
}
