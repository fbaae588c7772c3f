package plan

import (
	"fmt"
	"strconv"

	"viakv/api/advice"
	"viakv/api/document"
	"viakv/api/kv"
)

// Now returns how many failures the mesh survives as it is.
func Now(s document.Status) document.Strength { return strength(s.N, serving(s, ""), s.R, s.W) }

// Join plans the join of one more member.
func Join(s document.Status) document.Plan {
	return change(s, "join", s.N+1, serving(s, "")+1)
}

// Leave plans a member's leave. It fails when there is no such member.
func Leave(s document.Status, name string) (document.Plan, error) {
	for i := range s.Members {
		if s.Members[i].Name != name {
			continue
		}
		p := change(s, "leave of "+name, s.N-1, serving(s, name))
		copies := s.N - s.W + 1 // so many of the remaining members hold every acknowledged write
		switch {
		case s.N == 1:
			refuse(&p, "%s", advice.Add("it is the last member: its keys would be lost", kv.ErrLastMember, ""))
		case p.Possible && (p.After.Serving < p.After.W || p.After.Serving < copies):
			refuse(&p, "%d of the %d members that stay serve; writes need %d and the hand-over %d: bring others back first, or force it and accept what that may lose",
				p.After.Serving, p.After.N, p.After.W, copies)
		}
		return p, nil
	}
	return document.Plan{}, kv.Detail(kv.ErrNoSuchNode, "%s", name)
}

// change returns the plan of a change, with what joins and leaves have in common.
func change(s document.Status, what string, n, serves int) document.Plan {
	p := document.Plan{
		Change: what, Possible: true,
		Now:   Now(s),
		After: strength(n, serves, quorum(s.ReadQuorum, n), quorum(s.WriteQuorum, n)),
	}
	if n%2 == 0 && n > 0 && p.After.R == n/2+1 {
		p.Notes = append(p.Notes, fmt.Sprintf("%d members survive no more failures than %d do", n, n-1))
	}
	if p.After.WriteFailures == 0 && n > 1 && p.After.W == n {
		p.Notes = append(p.Notes, "every write then needs every member")
	}
	switch {
	case s.N == 0:
		refuse(&p, "the node that answered is no member of a cluster (%s %s)", s.State, s.Reason)
	case n > kv.MaxMembers:
		refuse(&p, "a cluster has at most %d members", kv.MaxMembers)
	case s.Unsettled != "":
		refuse(&p, "another change is not settled yet: %s", s.Unsettled)
	case p.Now.Serving < s.W || p.Now.Serving < s.N/2+1:
		refuse(&p, "only %d of %d members serve now", p.Now.Serving, s.N)
	case n > 0 && p.After.R+p.After.W <= n && !s.AllowWeak:
		refuse(&p, "R=%d and W=%d of %d would not overlap: reads could miss acknowledged writes", p.After.R, p.After.W, n)
	}
	return p
}

func refuse(p *document.Plan, format string, args ...any) {
	p.Possible, p.Reason = false, fmt.Sprintf(format, args...)
}

func strength(n, serving, r, w int) document.Strength {
	return document.Strength{N: n, Serving: serving, R: r, W: w, ReadFailures: max(0, serving-r), WriteFailures: max(0, serving-w)}
}

// quorum returns how many of n replicas a configured quorum waits for (P2). A text that is neither
// a number nor "all" is a majority, the default.
func quorum(configured string, n int) int {
	if configured == kv.QuorumAll.String() {
		return n
	}
	if q, err := strconv.Atoi(configured); err == nil {
		return min(q, n)
	}
	return n/2 + 1
}

// serving counts the members that are active and reachable, without the one of the name except.
func serving(s document.Status, except string) (n int) {
	for i := range s.Members {
		if m := &s.Members[i]; m.State == "active" && m.Reachable && m.Name != except {
			n++
		}
	}
	return n
}
