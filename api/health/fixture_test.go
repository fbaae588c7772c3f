package health

import (
	"fmt"
	"strings"
)

// facts returns what node a knows of a cluster with the quorums r and w. Each word of members is
// the name of one, with what a knows of it behind colons: a state, a reach, or "full". A member of
// which nothing else is said is active and answers. a leads.
func facts(r, w int, members string) *Facts {
	f := &Facts{Self: "a", Cluster: "1", R: r, W: w, Leader: "a"}
	for word := range strings.FieldsSeq(members) {
		said := strings.Split(word, ":")
		m := Member{Name: said[0], State: Active, Reach: Answers}
		for _, what := range said[1:] {
			switch {
			case what == "full":
				m.Full = true
			case what == Active || what == Rebuilding || what == Joining || what == Vacant:
				m.State = what
			default:
				m.Reach = reach(what)
			}
		}
		if m.State == Vacant {
			m.Reach = NoConnection
		}
		if m.State != Joining {
			f.N++
		}
		f.Members = append(f.Members, m)
	}
	return f
}

// reach returns the reach of that name. "no connection" is written with a dash.
func reach(name string) Reach {
	for r := Unheard; r <= Elsewhere; r++ {
		if r.String() == strings.ReplaceAll(name, "-", " ") {
			return r
		}
	}
	panic(fmt.Sprintf("no reach is named %q", name))
}
