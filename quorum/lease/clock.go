package lease

import "time"

// Clock reads a clock that never goes back and does not stop. Only the difference of two readings
// means anything.
type Clock func() time.Duration

// Monotonic returns a clock of this process. It stops while the machine is suspended.
func Monotonic() Clock {
	start := time.Now()
	return func() time.Duration { return time.Since(start) }
}
