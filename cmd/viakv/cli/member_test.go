package cli

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"viakv/api/document"
	"viakv/cmd/viakv/viakvtest"
)

func TestMembersJoinAndLeaveByCommand(t *testing.T) {
	a, meeting := viakvtest.Serve(t, "node-a")
	b, _ := viakvtest.Serve(t, "node-b")
	c, _ := viakvtest.Serve(t, "node-c")
	wants(t, 0, "stored", ask(t, b, "set", "of-b", "1"))
	wants(t, 0, "members (N)                 1    2", ask(t, a, "member", "plan", "join"))
	wants(t, 0, "node-b is a member", ask(t, b, "member", "join", meeting))
	wants(t, exitRefused, "leave it first", ask(t, b, "member", "join", meeting))
	wants(t, 0, `"epoch"`, ask(t, c, "member", "join", meeting, "-o", "json"))
	wants(t, 0, "1\n", ask(t, c, "get", "of-b"))

	viakvtest.Await(t, "all members to answer", func() bool { return viakvtest.ClusterOf(t, a).Health.Answering == 3 })
	r := wants(t, 0, "R=2 W=2 of N=3, 3 answering", ask(t, a, "status"))
	for _, want := range []string{"node-a, active", "serving since", "all 3 members answer", "1 more failure (reads), 1 more failure (writes)", "1 keys", "\nnode-b ", "\nnode-c "} {
		if !strings.Contains(r.out, want) {
			t.Errorf("status does not show %q:\n%s", want, r.out)
		}
	}
	var s document.Status
	if r := ask(t, a, "status", "-o", "json"); json.Unmarshal([]byte(r.out), &s) != nil || s.N != 3 || s.Self != "node-a" {
		t.Errorf("status -o json: %s", r.out)
	}
	if r := ask(t, a, "member", "list"); strings.Count(r.out, "\n") != 4 || !strings.Contains(r.out, "self") {
		t.Errorf("member list:\n%s", r.out)
	}
	var members []document.Member
	if r := ask(t, a, "member", "list", "-o", "json"); json.Unmarshal([]byte(r.out), &members) != nil || len(members) != 3 {
		t.Errorf("member list -o json: %s", r.out)
	}

	wants(t, 0, "reads      by lease of 50ms\n", ask(t, b, "status"))
	wants(t, 0, "reads are answered by quorum at epoch", ask(t, b, "member", "reads", "quorum"))
	for _, node := range []string{a, b, c} {
		wants(t, 0, "reads      by quorum\n", ask(t, node, "status"))
		if s := viakvtest.ClusterOf(t, node); s.Reads != "quorum" || s.LeaseMicros != 50_000 {
			t.Errorf("%s: reads by %q, a lease of %d µs", s.Self, s.Reads, s.LeaseMicros)
		}
	}
	wants(t, 0, `"reads": "lease"`, ask(t, c, "member", "reads", "lease", "-o", "json"))

	wants(t, exitMissing, "no such node", ask(t, a, "member", "plan", "leave", "node-x"))
	wants(t, exitMissing, "No such node", ask(t, a, "member", "leave", "node-x"))
	r = wants(t, 0, "2 members survive no more failures than 1 do", ask(t, a, "member", "plan", "leave", "node-c"))
	if !strings.Contains(r.out, "failures tolerated, writes  1    0") {
		t.Errorf("the plan:\n%s", r.out)
	}
	wants(t, 0, "node-c has left at epoch", ask(t, a, "member", "leave", "node-c"))
	wants(t, 0, `"node": "node-b"`, ask(t, b, "member", "leave", "-o", "json"))
	wants(t, exitRefused, "last member", ask(t, a, "member", "plan", "leave", "node-a"))
	wants(t, exitRefused, "last member", ask(t, a, "member", "leave"))
	viakvtest.Expect(t, http.StatusOK, "1", a, "/get", "k", "of-b")
}
