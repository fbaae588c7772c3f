//go:build !unix

package runner

import "time"

// cpuTime returns 0, because it is not known on this system.
func cpuTime() time.Duration { return 0 }
