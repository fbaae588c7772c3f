//go:build !linux

package api

import "runtime"

// giveWay yields the processor to other goroutines that are ready.
func giveWay() { runtime.Gosched() }
