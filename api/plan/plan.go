package plan

import (
	"fmt"
	"slices"

	"viakv/api/advice"
	"viakv/api/document"
	"viakv/api/health"
	"viakv/api/kv"
)

// Join plans the join of one more member.
func Join(s *kv.Status) document.Plan {
	return change(s, "join", s.N+1, s.Health.Answering+1)
}

// Leave plans a member's leave. It fails when there is no such member.
func Leave(s *kv.Status, name string) (document.Plan, error) {
	i := slices.IndexFunc(s.Members, func(m kv.Member) bool { return m.Name == name })
	if i < 0 {
		return document.Plan{}, kv.Detail(kv.ErrNoSuchNode, "%s", name)
	}
	stay := s.Health.Answering
	if m := &s.Members[i]; m.State == health.Active && m.Reach == health.Answers {
		stay--
	}
	p := change(s, "leave of "+name, s.N-1, stay)
	copies := s.N - s.W + 1 // so many of the remaining members hold every acknowledged write
	switch {
	case s.N == 1:
		refuse(&p, "%s", advice.Add("it is the last member: its keys would be lost", kv.ErrLastMember, ""))
	case p.Possible && (p.After.Serving < p.After.W || p.After.Serving < copies):
		refuse(&p, "%d of the %d members that stay serve; writes need %d and the hand-over %d: bring others back first, or force it and accept what that may lose",
			p.After.Serving, p.After.N, p.After.W, copies)
	}
	if loss := s.Health.Loss(name); loss != nil && s.N > 1 {
		p.MayLose = loss.String()
	}
	return p, nil
}

// change returns the plan of a change, with what joins and leaves have in common.
func change(s *kv.Status, what string, n, serves int) document.Plan {
	p := document.Plan{
		Change: what, Possible: true,
		Now:   strength(s, s.N, s.Health.Answering, s.R, s.W),
		After: strength(s, n, serves, quorum(s.Read, n), quorum(s.Write, n)),
	}
	if n%2 == 0 && n > 0 && p.After.R == n/2+1 {
		p.Notes = append(p.Notes, fmt.Sprintf("%d members survive no more failures than %d do", n, n-1))
	}
	if p.After.WriteFailures == 0 && n > 1 && p.After.W == n {
		p.Notes = append(p.Notes, "every write then needs every member")
	}
	switch {
	case s.N == 0:
		refuse(&p, "the node that answered is no member of a cluster: %s", s.Health.Reason)
	case n > kv.MaxMembers:
		refuse(&p, "a cluster has at most %d members", kv.MaxMembers)
	case s.Unsettled != nil:
		refuse(&p, "another change is not settled yet: %s", s.Unsettled)
	case !s.Health.CanWrite && !slices.ContainsFunc(s.Members, func(m kv.Member) bool { return m.Full }), !s.Health.CanChange:
		refuse(&p, "the cluster cannot decide on it now: %s", s.Health.Reason)
	case n > 0 && p.After.R+p.After.W <= n && !s.AllowWeak:
		refuse(&p, "R=%d and W=%d of %d would not overlap: reads could miss acknowledged writes", p.After.R, p.After.W, n)
	}
	return p
}

func refuse(p *document.Plan, format string, args ...any) {
	p.Possible, p.Reason = false, fmt.Sprintf(format, args...)
}

func strength(s *kv.Status, n, serving, r, w int) document.Strength {
	out := document.Strength{N: n, Serving: serving, R: r, W: w}
	if n > 0 {
		read, write := health.Needs(n, r, w, s.Reads == kv.ReadsLease)
		out.ReadFailures, out.WriteFailures = max(0, serving-read), max(0, serving-write)
	}
	return out
}

// quorum returns how many of n replicas a configured quorum waits for (P2).
func quorum(configured kv.Quorum, n int) int {
	switch {
	case configured == kv.QuorumAll:
		return n
	case configured > 0:
		return min(int(configured), n)
	}
	return n/2 + 1
}
