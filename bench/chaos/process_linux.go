package chaos

import "syscall"

// attributes give a node a process group of its own, so that Ctrl-C reaches only this program,
// which ends its nodes itself. They also make the kernel end the node when this program is killed.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
