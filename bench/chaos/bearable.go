package chaos

import (
	"slices"
	"time"

	"viakv/bench/check"
)

// recovery is how long after a time in which too much was broken nothing is expected yet.
const recovery = time.Second

// beyond returns when more was broken at once than a cluster of that size survives, in order and
// apart. A fault breaks the node that it names; one that left makes the cluster smaller, and one
// that joined makes it larger, without bearing more.
func beyond(faults []check.Fault, nodes int) []check.Span {
	var times []float64
	for _, f := range faults {
		times = append(times, f.From, f.To)
	}
	slices.Sort(times)
	times = slices.Compact(times)
	var spans []check.Span
	for i := 1; i < len(times); i++ {
		if !tooMuch(faults, nodes, (times[i-1]+times[i])/2) {
			continue
		}
		s := check.Span{From: seconds(times[i-1]), To: seconds(times[i]) + recovery}
		if last := len(spans) - 1; last >= 0 && spans[last].To >= s.From {
			spans[last].To = s.To
		} else {
			spans = append(spans, s)
		}
	}
	return spans
}

// tooMuch looks at the faults of one moment.
func tooMuch(faults []check.Fault, nodes int, at float64) bool {
	broken, size := map[string]bool{}, nodes
	for _, f := range faults {
		switch {
		case at < f.From || at >= f.To:
		case f.Kind == "leave":
			size--
		case f.Kind == "join":
			size++
		default:
			broken[f.Node] = true
		}
	}
	// Whether a change of the size has taken effect is not known, so the worse of both counts.
	return len(broken) > min(survivable(size), survivable(nodes))
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// survivable returns how many members of a cluster may be broken at once: what is left is a
// majority of all. Two members survive nothing, and four as much as three.
func survivable(members int) int { return (members - 1) / 2 }
