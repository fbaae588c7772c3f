package health

import (
	"fmt"
	"strings"
	"time"
)

// Level is how well a cluster serves the requests of one node.
type Level uint8

// The levels, from the worst.
const (
	Refusing  Level = iota // reads and writes are refused
	ReadsOnly              // writes are refused
	Degraded               // all requests are served, but fewer failures are tolerated than could be
	Serving                // all requests are served, and all members serve them
	levels
)

// Levels returns all levels.
func Levels() (all []Level) {
	for l := range levels {
		all = append(all, l)
	}
	return all
}

func (l Level) String() string {
	if l >= levels {
		return "unknown"
	}
	return [...]string{"refusing", "reads only", "degraded", "serving"}[l]
}

// Verdict says what becomes of requests that a node gets now.
type Verdict struct {
	Level  Level
	Reason string // a sentence without a full stop
	Since  time.Time

	CanRead  bool // a get is answered
	CanWrite bool // a set is carried out
	// CanChange says that members can join and leave. A rebuilding member does not count, although
	// its vote may help to decide a change.
	CanChange bool
	Led       bool // a leader is known, who lets members come back

	N, W                int
	Answering           int // active members whose processes answer, this node included: each has a full copy
	ReadNeed, WriteNeed int // how many of them a read and a write need
	CopiesNeed          int // so many full copies together hold every acknowledged write

	Outside bool     // this node takes no requests, whatever the others do
	Lost    []string // members whose memory is lost, and that have not rebuilt
	Gone    []string // those of Lost in whose places no process is
	Away    []string // members that do not answer, and may still have their memory
	Full    []string // members that hold as much as their memory limits allow
}

// ReadFailures returns how many of the members that answer may fail before reads do.
func (v *Verdict) ReadFailures() int {
	if !v.CanRead {
		return 0
	}
	return v.Answering - v.ReadNeed
}

// WriteFailures is ReadFailures for writes.
func (v *Verdict) WriteFailures() int {
	if !v.CanWrite {
		return 0
	}
	return v.Answering - v.WriteNeed
}

// Judge returns the verdict on the facts.
func Judge(f *Facts) Verdict {
	v := Verdict{N: f.N, W: f.W}
	if f.Store != "" {
		return judgeStore(f)
	}
	if f.N > 0 {
		v.ReadNeed, v.WriteNeed = Needs(f.N, f.R, f.W, f.Leases)
		v.CopiesNeed = f.N - f.W + 1
	}
	slots := f.slots()
	for i := range slots {
		m := &slots[i]
		switch {
		case m.Counts():
			v.Answering++
		case m.State != Active || m.Reach == Restarted:
			v.Lost = append(v.Lost, m.Name)
			if m.State == Vacant {
				v.Gone = append(v.Gone, m.Name)
			}
		default:
			v.Away = append(v.Away, m.Name)
		}
	}
	for i := range f.Members { // the one that is joining, too: it stores every value
		if m := &f.Members[i]; m.Full {
			v.Full = append(v.Full, m.Name)
		}
	}
	switch {
	case f.Outside != "":
		v.Outside, v.Reason = true, f.Outside
		return v
	case f.N == 0:
		v.Outside, v.Reason = true, f.Self+" is no member of a cluster yet"
		return v
	}
	v.CanRead = v.Answering >= v.ReadNeed
	v.CanWrite = v.Answering >= v.WriteNeed && len(v.Full) == 0
	v.Led = f.Leader != ""
	v.CanChange = v.Led && v.Answering > f.N/2
	switch {
	case !v.CanRead:
		v.Level = Refusing
	case !v.CanWrite:
		v.Level = ReadsOnly
	case v.Answering < f.N:
		v.Level = Degraded
	default:
		v.Level = Serving
	}
	v.Reason = v.reason(f)
	return v
}

// judgeStore judges a node whose data is in a database.
func judgeStore(f *Facts) Verdict {
	if f.Outside != "" {
		return Verdict{Outside: true, Reason: f.Outside}
	}
	return Verdict{Level: Serving, CanRead: true, CanWrite: true, Reason: "the database (" + f.Store + ") answers"}
}

// reason says why the verdict is as it is.
func (v *Verdict) reason(f *Facts) string {
	switch {
	case v.Level == Serving && f.N == 1:
		return f.Self + " is the only member"
	case v.Level == Serving:
		return fmt.Sprintf("all %d members answer", f.N)
	case len(v.Full) > 0 && v.Answering >= v.WriteNeed:
		return list(v.Full) + one(len(v.Full), " holds", " hold") + " as much as the memory limit allows: new values are refused, at all nodes"
	}
	needs := fmt.Sprintf("reads and writes need %d", v.WriteNeed)
	if v.ReadNeed != v.WriteNeed {
		needs = fmt.Sprintf("reads need %d and writes %d", v.ReadNeed, v.WriteNeed)
		if quorum, _ := Needs(f.N, f.R, f.W, false); f.Leases && quorum > v.ReadNeed {
			needs = fmt.Sprintf("reads need %d, or %d where the key's last write is not known to be complete, and writes %d", v.ReadNeed, quorum, v.WriteNeed)
		}
	}
	text := fmt.Sprintf("%d of %d members %s, and %s", v.Answering, f.N, one(v.Answering, "answers", "answer"), needs)
	var why []string
	slots := f.slots()
	for i := range slots {
		if m := &slots[i]; !m.Counts() {
			why = append(why, m.trouble())
		}
	}
	return text + ": " + strings.Join(why, ", ")
}

// trouble says why a member does not count.
func (m *Member) trouble() string {
	switch {
	case m.State == Vacant:
		return m.Name + " is gone"
	case m.State == Rebuilding && (m.Reach == Answers || m.Reach == Unheard):
		return m.Name + " rebuilds"
	case m.Reach == Silent:
		return m.Name + " does not answer"
	case m.Reach == NoConnection:
		return "no connection to " + m.Name
	case m.Reach == Restarted:
		return m.Name + " was restarted and has lost its memory"
	case m.Reach == Elsewhere:
		return m.Name + " is not in this cluster any more, or another node answers at its address"
	}
	return "nothing was heard of " + m.Name + " yet"
}

// one returns the first text for one thing, and the other for any other number.
func one(n int, text, other string) string {
	if n == 1 {
		return text
	}
	return other
}

// list joins names as in a, b and c.
func list(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
}
