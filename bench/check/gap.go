package check

import (
	"slices"
	"time"
)

// longestGap between neighbouring times, none of them beyond the end.
func longestGap(times []time.Duration, end time.Duration) (longest time.Duration) {
	slices.Sort(times)
	for i := 1; i < len(times) && times[i-1] < end; i++ {
		longest = max(longest, min(times[i], end)-times[i-1])
	}
	return longest
}
