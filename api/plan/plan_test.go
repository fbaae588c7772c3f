package plan

import (
	"errors"
	"strings"
	"testing"

	"viakv/api/document"
	"viakv/api/health"
	"viakv/api/kv"
	"viakv/api/kv/kvtest"
)

// mesh returns the status of a cluster of n members with majority quorums. Only the first members
// serve, as many as serving says.
func mesh(n, serving int) kv.Status {
	s := kv.Status{Mode: "mesh", Self: "node-a", State: "active", N: n, R: n/2 + 1, W: n/2 + 1}
	for i := range n {
		m := kv.Member{Name: "node-" + string(rune('a'+i)), State: "active"}
		if i < serving {
			m.Reach = health.Answers
		}
		s.Members = append(s.Members, m)
	}
	return s
}

// join and leave plan a change of a cluster that is judged first.
func join(s kv.Status) document.Plan {
	s = kvtest.Judged(s)
	return Join(&s)
}

func leave(s kv.Status, name string) (document.Plan, error) {
	s = kvtest.Judged(s)
	return Leave(&s, name)
}

func TestPlans(t *testing.T) {
	for _, c := range []struct {
		name          string
		s             kv.Status
		leave         string // empty: join
		possible      bool
		n, r, w       int
		reads, writes int // failures survived after the change
		reason        string
	}{
		{"the second joins", mesh(1, 1), "", true, 2, 2, 2, 0, 0, ""},
		{"the third joins", mesh(2, 2), "", true, 3, 2, 2, 1, 1, ""},
		{"the fourth joins", mesh(3, 3), "", true, 4, 3, 3, 1, 1, ""},
		{"one of three leaves", mesh(3, 3), "node-c", true, 2, 2, 2, 0, 0, ""},
		{"the dead one of three leaves", mesh(3, 2), "node-c", true, 2, 2, 2, 0, 0, ""},
		{"a live one of three leaves beside a dead one", mesh(3, 2), "node-b", false, 2, 2, 2, 0, 0, "1 of the 2 members that stay serve"},
		{"one of five leaves", mesh(5, 5), "node-e", true, 4, 3, 3, 1, 1, ""},
		{"one of five leaves beside a dead one", mesh(5, 4), "node-d", true, 4, 3, 3, 0, 0, ""},
		{"the last leaves", mesh(1, 1), "node-a", false, 0, 1, 1, 0, 0, "last member"},
		{"a join without a quorum", mesh(3, 1), "", false, 4, 3, 3, 0, 0, "1 of 3 members answers"},
	} {
		p := join(c.s)
		if c.leave != "" {
			var err error
			if p, err = leave(c.s, c.leave); err != nil {
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
	all := mesh(3, 3)
	all.R, all.W, all.Read, all.Write = 1, 3, 1, kv.QuorumAll
	if p := join(all); !p.Possible || p.After.R != 1 || p.After.W != 4 || p.After.WriteFailures != 0 || p.After.ReadFailures != 0 {
		t.Errorf("W=all: %+v", p)
	}
	numbers := mesh(5, 5)
	numbers.R, numbers.W, numbers.Read, numbers.Write = 2, 4, 2, 4
	if p := join(numbers); p.Possible || !strings.Contains(p.Reason, "would not overlap") {
		t.Errorf("R=2 and W=4 of 6: %+v", p)
	}
	weak := mesh(4, 4)
	weak.R, weak.W, weak.Read, weak.Write, weak.AllowWeak = 1, 1, 1, 1, true
	if p := join(weak); !p.Possible || p.After.R != 1 || p.After.W != 1 {
		t.Errorf("weak: %+v", p)
	}
	// A number above the count of members waits for all of them, until there are more.
	three := mesh(2, 2)
	three.Read, three.Write = kv.QuorumMajority, 3
	if p := join(three); p.After.W != 3 || p.After.R != 2 || len(p.Notes) != 1 || !strings.Contains(p.Notes[0], "every member") {
		t.Errorf("W=3: %+v", p)
	}
	if p := join(mesh(kv.MaxMembers, kv.MaxMembers)); p.Possible || !strings.Contains(p.Reason, "at most 32") {
		t.Errorf("a full mesh: %+v", p)
	}
	unsettled := mesh(3, 3)
	unsettled.Unsettled = &kv.SizeChange{Member: "node-c"}
	if p := join(unsettled); p.Possible || !strings.Contains(p.Reason, "node-c joined") {
		t.Errorf("unsettled: %+v", p)
	}
	if p := join(kv.Status{Mode: "mesh", State: "left"}); p.Possible {
		t.Errorf("no member: %+v", p)
	}
}

func TestNobodysLeave(t *testing.T) {
	if _, err := leave(mesh(3, 3), "node-x"); !errors.Is(err, kv.ErrNoSuchNode) {
		t.Error(err)
	}
}

// By lease, reads bear the loss of more members than a quorum of W would.
func TestPlansCountOnLeases(t *testing.T) {
	for reads, now := range map[kv.Reads]int{kv.ReadsLease: 2, kv.ReadsQuorum: 0} {
		s := mesh(4, 4)
		s.R, s.W, s.Read, s.Write, s.Reads = 1, 4, 1, kv.QuorumAll, reads
		p, err := leave(s, "node-d")
		if err != nil || p.Now.ReadFailures != now || p.After.ReadFailures != max(0, now-1) || p.Now.WriteFailures+p.After.WriteFailures != 0 {
			t.Errorf("%s: %+v, %v", reads, p, err)
		}
	}
}
