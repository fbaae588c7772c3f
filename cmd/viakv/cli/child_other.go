//go:build !linux

package cli

import "syscall"

// childAttributes puts a node into a process group of its own, so that Ctrl-C reaches only the
// command that started it.
func childAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
