package lease

import (
	"testing"

	"golang.org/x/sys/unix"
)

// The clock of the machine is the one that goes on while the machine is suspended.
func TestTheClockOfTheMachine(t *testing.T) {
	now := func() int64 {
		var at unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &at); err != nil {
			t.Fatal(err)
		}
		return at.Nano()
	}
	clock := Machine()
	before := now()
	if read := clock().Nanoseconds(); read < before || read > now() {
		t.Errorf("it shows %d ns, and the machine %d ns just before", read, before)
	}
}
