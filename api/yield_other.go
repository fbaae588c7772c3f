//go:build !linux

package api

import "runtime"

// yieldProcessor yields the processor to other goroutines that are ready.
func yieldProcessor() { runtime.Gosched() }
