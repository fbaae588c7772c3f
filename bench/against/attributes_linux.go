package main

import "syscall"

// attributes give a process a group of its own, so that Ctrl-C reaches only this program, which
// ends what it has started. They also make the kernel end the process with this program.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
