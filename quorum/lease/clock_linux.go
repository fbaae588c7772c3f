package lease

import (
	"time"

	"golang.org/x/sys/unix"
)

// Machine returns the clock of the machine. Unlike a monotonic clock it goes on while the machine
// is suspended (clock_gettime(2), CLOCK_BOOTTIME).
func Machine() Clock {
	var now unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &now) != nil {
		return Monotonic()
	}
	return func() time.Duration {
		var now unix.Timespec
		_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &now) // it has worked before
		return time.Duration(now.Nano())
	}
}
