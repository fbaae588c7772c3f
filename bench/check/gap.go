package check

import (
	"slices"
	"time"
)

// Span of a recording.
type Span struct{ From, To time.Duration }

// longestGap between neighbouring times, none of them beyond the end, that touches none of the spans left out, which are in order and apart.
func longestGap(times []time.Duration, end time.Duration, but []Span) (longest time.Duration) {
	slices.Sort(times)
	for i := 1; i < len(times) && times[i-1] < end; i++ {
		from, to := times[i-1], min(times[i], end)
		for _, s := range but {
			if s.To <= from || s.From >= to {
				continue
			}
			longest = max(longest, s.From-from)
			from = min(s.To, to)
		}
		longest = max(longest, to-from)
	}
	return longest
}
