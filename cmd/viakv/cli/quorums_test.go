package cli

import (
	"net/http"
	"path/filepath"
	"testing"

	"viakv/cmd/viakv/viakvtest"
)

// readers and writers are the commands that take --r, and --r and --w.
var (
	readers = [][]string{{"get", "color"}, {"is", "color"}, {"keys"}, {"values"}, {"all"}, {"export"}}
	writers = [][]string{{"set", "color", "green"}, {"rm", "color"}, {"import"}}
)

func TestABadQuorumIsAMistakeBeforeAnythingIsSent(t *testing.T) {
	nobody := viakvtest.FreeAddress(t)
	for _, bad := range []string{"", "0", "-1", "01", "1001", "most", "majority", "1,2"} {
		for _, args := range readers {
			wants(t, exitUsage, `for "--r" flag: want a number of replicas`, ask(t, nobody, append(args, "--r="+bad)...))
		}
		for _, args := range writers {
			wants(t, exitUsage, `for "--r" flag: want a number of replicas`, ask(t, nobody, append(args, "--r="+bad)...))
			wants(t, exitUsage, `for "--w" flag: want a number of replicas`, ask(t, nobody, append(args, "--w="+bad)...))
		}
	}
	for _, args := range append([][]string{{"clear", "--yes"}, {"status"}, {"member", "list"}}, readers...) {
		wants(t, exitUsage, "unknown flag: --w", ask(t, nobody, append(args, "--w", "1")...))
	}
	t.Setenv("VIAKV_R", "most")
	wants(t, exitUsage, "VIAKV_R: invalid argument", ask(t, nobody, "get", "color"))
	t.Setenv("VIAKV_R", "1")
	wants(t, exitUnavailable, "", ask(t, nobody, "get", "color"))
}

// A cluster of one refuses quorums of two. So a command that is refused has sent what was given.
func TestQuorumsAreSent(t *testing.T) {
	a, _ := viakvtest.Serve(t, "node-a")
	wants(t, 0, "stored\n", ask(t, a, "set", "color", "red"))
	full := filepath.Join(t.TempDir(), "full")
	wants(t, 0, "exported 1 pairs", ask(t, a, "export", full))
	for i, args := range append(append([][]string{}, readers...), writers...) {
		if args[0] == "import" {
			args = []string{"import", "--force", full}
		}
		wants(t, exitUsage, "400", ask(t, a, append(args, "--r", "2")...))
		if i >= len(readers) {
			wants(t, exitUsage, "400", ask(t, a, append(args, "--w", "2")...))
		}
	}
	viakvtest.Expect(t, http.StatusOK, "red", a, "/get", "k", "color")
	for _, quorum := range []string{"1", "quorum", "all"} {
		wants(t, 0, "stored\n", ask(t, a, "set", "color", quorum, "--r", quorum, "--w", quorum))
		wants(t, 0, quorum+"\n", ask(t, a, "get", "color", "--r", quorum))
		wants(t, 0, "color\t"+quorum+"\n", ask(t, a, "all", "--r", quorum))
		wants(t, 0, `{"key":"color","value":"`+quorum+`"}`, ask(t, a, "export", "--r", quorum))
	}
}
