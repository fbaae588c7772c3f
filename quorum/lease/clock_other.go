//go:build !linux

package lease

// Machine returns the clock of the machine.
func Machine() Clock { return Monotonic() }
