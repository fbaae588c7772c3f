package cli

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"viakv/api/document"
)

// statusWith returns the status of a cluster of n members with majority quorums, of which some
// answer.
func statusWith(n, answering int) document.Status {
	s := document.Status{Mode: "mesh", Self: "node-a", State: "active", N: n, R: n/2 + 1, W: n/2 + 1}
	s.Health = document.Health{Verdict: "degraded", Reason: "some answer", CanRead: true, CanWrite: true, Answering: answering, ReadFailures: 1, WriteFailures: 2}
	for i := range n {
		m := document.Member{Name: "node-" + string(rune('a'+i)), State: "active", Reachable: i < answering, Reach: "answers"}
		if !m.Reachable {
			m.Reach, m.Since = "silent", time.Unix(0, 0)
		}
		s.Members = append(s.Members, m)
	}
	return s
}

func TestStatusOfOtherStates(t *testing.T) {
	for _, c := range []struct {
		s     document.Status
		wants []string
	}{
		{document.Status{Mode: "PostgreSQL", Self: "n", State: "unavailable", Reason: "no answer", Health: document.Health{Verdict: "refusing", Reason: "no answer"}}, []string{"store    PostgreSQL", "no answer"}},
		{func() document.Status {
			s := statusWith(3, 2)
			s.Health.CanWrite, s.Health.Next, s.Health.MayLose = false, "start node-c again", "writes may be lost"
			s.R, s.W, s.Weak, s.MaxBytes, s.Unsettled = 1, 3, true, 1<<20, "node-c joined"
			s.Members[1].Sync = &document.Sync{Kind: "rebuild", Done: 0.5, Keys: 10, LeftSecs: 2}
			return s
		}(), []string{"1 more failure (reads), refused now (writes)", "degraded since", ": some answer", "next       start node-c again", "come back, writes may be lost", "limit 1048576", "may miss", "node-c joined", "rebuild 50%, 10 keys, 2s left", "silent since "}},
		{func() document.Status {
			s := statusWith(3, 3)
			s.Warnings = []string{"node-c holds 9.0 MiB and may hold 2.0 MiB", "another\x1b[0m"}
			return s
		}(), []string{"warning    node-c holds 9.0 MiB and may hold 2.0 MiB\n", `warning    "another\x1b`}},
		{func() document.Status {
			s := statusWith(3, 3)
			s.Members[0].Reading = &document.Reading{State: "quorum", Why: "too few leases", Reason: "node-b gives none\x1b[0m",
				Since: time.Unix(0, 0), Alone: 7, Quorum: 8, Repaired: 9, Waited: 10, WaitedSeconds: 1.25}
			s.Members[1].Reading = &document.Reading{State: "alone"}
			return s
		}(), []string{"gets       by quorum since " + time.Unix(0, 0).Local().Format(time.TimeOnly) + `: "node-b gives none\x1b[0m"` + "\n",
			"so far     7 gets alone, 8 by quorum, 9 repaired; 10 sets and removes waited for leases, 1.250 s in all\n"}},
		{func() document.Status {
			s := statusWith(3, 3)
			s.Members[0].Reading = &document.Reading{State: "alone", Since: time.Unix(1, 0)}
			return s
		}(), []string{"gets       from its own copy since " + time.Unix(1, 0).Local().Format(time.TimeOnly) + "\n"}},
	} {
		var out bytes.Buffer
		if err := printStatus(&out, c.s); err != nil {
			t.Fatal(err)
		}
		for _, want := range c.wants {
			if !strings.Contains(out.String(), want) {
				t.Errorf("want %q in\n%s", want, &out)
			}
		}
	}
	var out bytes.Buffer
	if err := printMembers(&out, document.Status{Mode: "MongoDB"}); err != nil || !strings.Contains(out.String(), "MongoDB") {
		t.Errorf("%v: %s", err, &out)
	}
}
