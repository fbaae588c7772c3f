package health

import (
	"fmt"
	"sync"
	"time"
)

// changes returns the events that lead from one set of facts to the next: those of the members in
// their order, then those of the cluster. Their times and sequences are not set.
func changes(was, is *Facts) (out []Event) {
	tell := func(name, member, format string, args ...any) {
		out = append(out, Event{Name: name, Member: member, Text: fmt.Sprintf(format, args...)})
	}
	switch {
	case is.Cluster == was.Cluster || is.Cluster == "":
	case is.follows(was):
		tell(eventForked, "", "the cluster goes on as %s after a forced leave", is.Cluster)
	default:
		tell(eventEntered, "", "%s is part of cluster %s, which has %d %s", is.Self, is.Cluster, is.N, one(is.N, "member", "members"))
	}
	if is.follows(was) {
		for i := range is.Members {
			m := &is.Members[i]
			if m.Name == is.Self {
				out = append(out, m.ownChanges(was.member(m.Name))...)
			} else {
				out = append(out, m.changes(was.member(m.Name))...)
			}
		}
		for i := range was.Members {
			switch m := &was.Members[i]; {
			case is.member(m.Name) != nil:
			case m.State == Joining:
				tell(eventGivenUp, m.Name, "%s has given its join up, or was given up", m.Name)
			default:
				tell(eventLeft, m.Name, "%s has left the cluster", m.Name)
			}
		}
		if is.Generation > was.Generation {
			tell(eventCleared, "", "the store was cleared, for the %s time", ordinal(is.Generation))
		}
	}
	switch {
	case is.Leader == was.Leader:
	case is.Leader != "":
		tell(eventLeader, is.Leader, "%s leads the changes of members", is.Leader)
	case is.Outside == "":
		tell(eventNoLeader, "", "no member leads the changes of members: nobody can join, leave or clear")
	}
	return out
}

// ownChanges returns the events of the node's own state. A node that has lost its place while it
// runs was replaced, or taken for dead: its own process is not the one that rebuilds.
func (m *Member) ownChanges(was *Member) []Event {
	if was != nil && was.State == Active && m.State != Active {
		return []Event{{Name: eventGone, Member: m.Name, Text: m.Name + " has lost its place in the cluster, and serves no more"}}
	}
	own := *m
	if was != nil {
		own.Reach = was.Reach // it needs no connection to itself
	}
	return own.changes(was)
}

// changes returns the events that lead from a member as it was to the member as it is. was is nil
// for a new one.
func (m *Member) changes(was *Member) (out []Event) {
	tell := func(name, text string) { out = append(out, Event{Name: name, Member: m.Name, Text: text}) }
	old := ""
	if was == nil {
		was = &Member{}
	} else {
		old = was.State
	}
	switch {
	case m.State == old:
	case m.State == Joining:
		tell(eventJoining, m.Name+" joins: it copies what the members hold")
	case m.State == Vacant:
		tell(eventGone, m.Name+" is gone: its place waits for it to come back and rebuild")
	case m.State == Rebuilding:
		tell(eventRebuilding, m.Name+" is back, empty: it rebuilds")
	case old == Rebuilding || old == Vacant:
		tell(eventRebuilt, m.Name+" has rebuilt, and serves")
	default:
		tell(eventJoined, m.Name+" is a member")
	}
	if m.Reach == was.Reach || m.State == Vacant {
		return out
	}
	switch m.Reach {
	case Answers:
		if was.Reach != Unheard {
			tell(eventAnswers, m.Name+" answers again")
		}
	case Silent:
		tell(eventSilent, m.trouble())
	case NoConnection:
		tell(eventNoConnection, m.trouble())
	case Restarted:
		tell(eventRestarted, m.trouble())
	case Elsewhere:
		tell(eventElsewhere, m.trouble())
	}
	return out
}

func ordinal(n uint64) string {
	suffix := "th"
	if n/10%10 != 1 {
		switch n % 10 {
		case 1:
			suffix = "st"
		case 2:
			suffix = "nd"
		case 3:
			suffix = "rd"
		}
	}
	return fmt.Sprint(n, suffix)
}

// Observer turns what a node knows, time after time, into verdicts and events. Its zero value has
// seen nothing. It is safe for concurrent use.
type Observer struct {
	Events Log

	mu      sync.Mutex
	facts   Facts
	verdict Verdict
	began   bool
}

// Observe judges the facts, which look gathers. It sets since when the verdict and each member's
// reach are so, and calls tell for each event. Calls of look and tell do not overlap, so that the
// events are in the order of the facts.
func (o *Observer) Observe(now time.Time, look func() Facts, tell func(Event)) (Facts, Verdict) {
	o.mu.Lock()
	defer o.mu.Unlock()
	f := look()
	for i := range f.Members {
		m := &f.Members[i]
		m.Since = now
		if was := o.facts.member(m.Name); was != nil && was.Reach == m.Reach && f.follows(&o.facts) {
			m.Since = was.Since
		}
	}
	v := Judge(&f)
	v.Since = now
	if o.began && v.Level == o.verdict.Level {
		v.Since = o.verdict.Since
	}
	events := changes(&o.facts, &f)
	outside := v.Outside && !o.verdict.Outside && o.began // for another reason than before
	if v.Level != o.verdict.Level || outside {
		name := [...]string{eventRefusing, eventReadsOnly, eventDegraded, eventServing}[v.Level]
		events = append(events, Event{Name: name, Text: v.Level.String() + ": " + v.Reason})
	}
	for _, e := range events {
		e.At = now
		e = o.Events.Add(e)
		if tell != nil {
			tell(e)
		}
	}
	o.facts, o.verdict, o.began = f, v, true
	return f, v
}
