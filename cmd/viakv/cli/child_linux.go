package cli

import "syscall"

// childAttributes puts a node into a process group of its own. So Ctrl-C reaches only the command
// that started the nodes, and they drain in order. It also makes the kernel end the node when that
// command is killed.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
