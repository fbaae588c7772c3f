//go:build !unix

package runner

import "time"

// CPUTime is not known here.
func CPUTime() time.Duration { return 0 }
