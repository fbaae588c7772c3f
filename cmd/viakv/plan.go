package main

import (
	"fmt"

	"viakv/api/kv"
)

// plan is what a change of the members would do, by what one node knows now. The cluster decides anew when it is asked.
type plan struct {
	Change   string   `json:"change"`
	Possible bool     `json:"possible"`
	Reason   string   `json:"reason,omitempty"` // why not
	Now      strength `json:"now"`
	After    strength `json:"after"`
	Notes    []string `json:"notes,omitempty"`
}

// strength is what a cluster can lose.
type strength struct {
	N             int `json:"n"`
	Serving       int `json:"serving"` // members that are active and reachable
	R             int `json:"r"`
	W             int `json:"w"`
	ReadFailures  int `json:"readFailures"`  // of the serving ones, how many may fail before reads do
	WriteFailures int `json:"writeFailures"` // the same of writes
}

func strengthOf(n, serving, r, w int) strength {
	return strength{N: n, Serving: serving, R: r, W: w, ReadFailures: max(0, serving-r), WriteFailures: max(0, serving-w)}
}

// quorumOf is what becomes of a quorum of q among n when there are next members. /cluster shows numbers, not how they were configured: a majority
// stays one, the default; what is no majority but all stays all; another number stays as it is.
func quorumOf(q, n, next int) int {
	switch q {
	case n/2 + 1:
		return next/2 + 1
	case n:
		return next
	}
	return min(q, next)
}

func serving(s kv.Status, except string) (n int) {
	for i := range s.Members {
		if m := &s.Members[i]; m.State == "active" && m.Reachable && m.Name != except {
			n++
		}
	}
	return n
}

// change fills in what joins and leaves have in common.
func change(s kv.Status, what string, n, serves int) *plan {
	p := &plan{
		Change: what, Possible: true,
		Now:   strengthOf(s.N, serving(s, ""), s.R, s.W),
		After: strengthOf(n, serves, quorumOf(s.R, s.N, n), quorumOf(s.W, s.N, n)),
	}
	if s.R != s.N/2+1 || s.W != s.N/2+1 {
		p.Notes = append(p.Notes, fmt.Sprintf("the quorums were configured (R=%d, W=%d of %d): a number is expected to stay, all to stay all", s.R, s.W, s.N))
	}
	if n%2 == 0 && n > 0 && p.After.R == n/2+1 {
		p.Notes = append(p.Notes, fmt.Sprintf("%d members survive no more failures than %d do", n, n-1))
	}
	switch {
	case s.N == 0:
		p.refuse("the node that answered is no member of a cluster (%s %s)", s.State, s.Reason)
	case s.Unsettled != "":
		p.refuse("another change is not settled yet: %s", s.Unsettled)
	case p.Now.Serving < s.W || p.Now.Serving < s.N/2+1:
		p.refuse("only %d of %d members serve now", p.Now.Serving, s.N)
	case n > 0 && p.After.R+p.After.W <= n && !s.Weak:
		p.refuse("R=%d and W=%d of %d would not overlap: reads could miss acknowledged writes", p.After.R, p.After.W, n)
	}
	return p
}

func (p *plan) refuse(format string, args ...any) {
	p.Possible, p.Reason = false, fmt.Sprintf(format, args...)
}

func planJoin(s kv.Status) *plan {
	return change(s, "join", s.N+1, serving(s, "")+1)
}

// planLeave fails when there is no such member.
func planLeave(s kv.Status, name string) (*plan, error) {
	for i := range s.Members {
		if s.Members[i].Name != name {
			continue
		}
		p := change(s, "leave of "+visible(name), s.N-1, serving(s, name))
		copies := s.N - s.W + 1 // so many of those that stay hold every acknowledged write
		switch {
		case s.N == 1:
			p.refuse("it is the last member: its keys would be lost")
		case p.Possible && (p.After.Serving < p.After.W || p.After.Serving < copies):
			p.refuse("%d of the %d members that stay serve; writes need %d and the hand-over %d: bring others back first, or use --force and accept what that may lose",
				p.After.Serving, p.After.N, p.After.W, copies)
		}
		return p, nil
	}
	return nil, kv.Detail(kv.ErrNoSuchNode, "%s; `viakv member list` shows the members", visible(name))
}
