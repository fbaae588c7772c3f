package health

import (
	"slices"
	"time"
)

// Reach is what a node knows of another member's process.
type Reach uint8

// What a node may know of a member's process. All but Answers count as no answer.
const (
	Unheard      Reach = iota // nothing is known yet
	Answers                   // it has answered within the last two seconds
	Silent                    // it does not answer in time
	NoConnection              // no connection can be made, or it broke
	Restarted                 // another process answers in its place: its memory is lost
	Elsewhere                 // another member answers at its address, or it has left this cluster
)

func (r Reach) String() string {
	if r > Elsewhere {
		return "unknown"
	}
	return [...]string{"unheard", "answers", "silent", "no connection", "restarted", "elsewhere"}[r]
}

// The states of a member.
const (
	Active     = "active"     // it serves
	Rebuilding = "rebuilding" // its memory was lost, and its new process copies what the others hold
	Joining    = "joining"    // it copies what the members hold, and is no member yet
	Vacant     = "vacant"     // its memory was lost, and no process has come back
)

// Member is one member as a node sees it.
type Member struct {
	Name  string
	State string
	Reach Reach
	Since time.Time // when Reach was found to be so
	Full  bool      // it holds as much as its memory limit allows
}

// Counts reports whether the member holds a full copy and answers.
func (m *Member) Counts() bool { return m.State == Active && m.Reach == Answers }

// Facts are what a node knows of its cluster at one moment.
type Facts struct {
	Self string
	// Outside says why this node takes no requests, whatever the others do. Empty: it takes them.
	Outside string
	// Store is the name of the database that holds the data. Empty: the members do.
	Store string

	Cluster    string
	Continues  []string // the clusters that this one continues after forced leaves
	Generation uint64   // clears so far
	N, R, W    int
	Leases     bool     // members answer reads from their own copies where leases allow it
	Leader     string   // of the changes of members; empty: none is known
	Members    []Member // the slots, then the member that is joining
}

// Needs returns how many of n replicas have to answer a read and a write when the cluster's quorums
// are r and w. With overlapping quorums, a read's answer must be on w replicas (D4), and a write
// must learn of every write before it. So both ask more than their own quorum where that is smaller
// than the other one.
//
// With leases, a read of what is known to be complete needs r members that are there, the node that
// answers among them, and one other at least (L3).
func Needs(n, r, w int, leases bool) (read, write int) {
	write = max(r, w, n-w+1)
	switch {
	case r+w <= n:
		return r, write
	case leases:
		return max(r, min(2, n)), write
	}
	return write, write
}

// follows reports whether the facts are about the same cluster as others were, or about one that
// continues it.
func (f *Facts) follows(was *Facts) bool {
	return f.Cluster == was.Cluster || slices.Contains(f.Continues, was.Cluster)
}

// slots returns the members without the one that is joining.
func (f *Facts) slots() []Member { return f.Members[:min(f.N, len(f.Members))] }

// member returns the member of that name, or nil.
func (f *Facts) member(name string) *Member {
	for i := range f.Members {
		if f.Members[i].Name == name {
			return &f.Members[i]
		}
	}
	return nil
}
