package check

import (
	"slices"
	"time"
)

// Span is an interval of a recording, from the recording's start.
type Span struct{ From, To time.Duration }

// longestGap returns the longest time between neighbouring times, up to end, without the spans in
// but. These must be in order and must not touch.
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
