//go:build !linux

package api

import "runtime"

// giveWay lets other goroutines that are ready go first.
func giveWay() { runtime.Gosched() }
