package cli

import "syscall"

// childAttributes puts a node into a process group of its own, so that Ctrl-C reaches only the
// command that started it and the nodes drain in order; and ends it when that command is killed.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
