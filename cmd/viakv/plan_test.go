package main

import (
	"bytes"
	"strings"
	"testing"

	"viakv/api/kv"
)

// statusWith makes the status of a cluster of n majority quorums in which some serve.
func statusWith(n, serving int) kv.Status {
	s := kv.Status{Mode: "mesh", Self: "node-a", State: "active", N: n, R: n/2 + 1, W: n/2 + 1}
	for i := range n {
		s.Members = append(s.Members, kv.Member{Name: "node-" + string(rune('a'+i)), State: "active", Reachable: i < serving})
	}
	return s
}

func TestPlans(t *testing.T) {
	for _, c := range []struct {
		name          string
		s             kv.Status
		leave         string // empty: join
		possible      bool
		n, r, w       int
		reads, writes int // failures survived afterwards
		reason        string
	}{
		{"the second joins", statusWith(1, 1), "", true, 2, 2, 2, 0, 0, ""},
		{"the third joins", statusWith(2, 2), "", true, 3, 2, 2, 1, 1, ""},
		{"the fourth joins", statusWith(3, 3), "", true, 4, 3, 3, 1, 1, ""},
		{"one of three leaves", statusWith(3, 3), "node-c", true, 2, 2, 2, 0, 0, ""},
		{"the dead one of three leaves", statusWith(3, 2), "node-c", true, 2, 2, 2, 0, 0, ""},
		{"a live one of three leaves beside a dead one", statusWith(3, 2), "node-b", false, 2, 2, 2, 0, 0, "1 of the 2 members that stay serve"},
		{"one of five leaves", statusWith(5, 5), "node-e", true, 4, 3, 3, 1, 1, ""},
		{"one of five leaves beside a dead one", statusWith(5, 4), "node-d", true, 4, 3, 3, 0, 0, ""},
		{"the last leaves", statusWith(1, 1), "node-a", false, 0, 1, 1, 0, 0, "last member"},
		{"a join without a quorum", statusWith(3, 1), "", false, 4, 3, 3, 0, 0, "only 1 of 3"},
	} {
		p := planJoin(c.s)
		if c.leave != "" {
			var err error
			if p, err = planLeave(c.s, c.leave); err != nil {
				t.Fatal(err)
			}
		}
		a := p.After
		if p.Possible != c.possible || !strings.Contains(p.Reason, c.reason) || (p.Reason == "") != c.possible {
			t.Errorf("%s: possible %v, reason %q", c.name, p.Possible, p.Reason)
		}
		if a.N != c.n || c.n > 0 && (a.R != c.r || a.W != c.w) || a.ReadFailures != c.reads || a.WriteFailures != c.writes {
			t.Errorf("%s: %+v", c.name, a)
		}
	}
}

func TestPlansWithConfiguredQuorums(t *testing.T) {
	all := statusWith(3, 3)
	all.R, all.W = 1, 3
	if p := planJoin(all); !p.Possible || p.After.R != 1 || p.After.W != 4 || p.After.WriteFailures != 0 || p.After.ReadFailures != 3 {
		t.Errorf("W=all: %+v", p)
	}
	numbers := statusWith(5, 5)
	numbers.R, numbers.W = 2, 4
	if p := planJoin(numbers); p.Possible || !strings.Contains(p.Reason, "would not overlap") {
		t.Errorf("R=2 and W=4 of 6: %+v", p)
	}
	weak := statusWith(4, 4)
	weak.R, weak.W, weak.Weak = 1, 1, true
	if p := planJoin(weak); !p.Possible || p.After.R != 1 || len(p.Notes) == 0 {
		t.Errorf("weak: %+v", p)
	}
	unsettled := statusWith(3, 3)
	unsettled.Unsettled = "node-c joined"
	if p := planJoin(unsettled); p.Possible || !strings.Contains(p.Reason, "node-c joined") {
		t.Errorf("unsettled: %+v", p)
	}
	if p := planJoin(kv.Status{Mode: "mesh", State: "left"}); p.Possible {
		t.Errorf("no member: %+v", p)
	}
}

func TestStatusOfOtherStates(t *testing.T) {
	for _, c := range []struct {
		s     kv.Status
		wants []string
	}{
		{kv.Status{Mode: "PostgreSQL", Self: "n", State: "unavailable", Reason: "no answer"}, []string{"store   PostgreSQL", "no answer"}},
		{func() kv.Status {
			s := statusWith(3, 2)
			s.R, s.W, s.Weak, s.MaxBytes, s.Unsettled = 1, 3, true, 1<<20, "node-c joined"
			s.Members[1].Sync = &kv.Sync{Kind: "rebuild", Done: 0.5, Keys: 10, LeftSecs: 2}
			return s
		}(), []string{"1 before reads fail; writes have no quorum", "limit 1048576", "may miss", "node-c joined", "rebuild 50%, 10 keys, 2s left", "  no  "}},
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
	if err := printMembers(&out, kv.Status{Mode: "MongoDB"}); err != nil || !strings.Contains(out.String(), "MongoDB") {
		t.Errorf("%v: %s", err, &out)
	}
}
