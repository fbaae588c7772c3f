package lease

import "time"

// Clock reads a clock that never goes back and never stops, not even while the machine is
// suspended. Only the difference of two readings means anything.
type Clock func() time.Duration
