package chaos

import (
	"slices"
	"time"

	"viakv/bench/check"
)

// recovery is how long after a time of too many faults no success is expected yet.
const recovery = time.Second

// beyond returns the spans in which more was broken at once than a cluster of that size survives.
// The spans are in order and do not touch. A fault breaks the node that it names. A leave makes the
// cluster smaller; a join makes it larger, but it does not then survive more faults.
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

// tooMuch reports whether more was broken at one moment than the cluster survives.
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
	// Whether a change of size has taken effect is not known, so the smaller limit counts.
	return len(broken) > min(survivable(size), survivable(nodes))
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// survivable returns how many members of a cluster may be broken at once: those that remain must be
// a majority of all. A cluster of two survives no fault, and four survive as many as three.
func survivable(members int) int { return (members - 1) / 2 }
