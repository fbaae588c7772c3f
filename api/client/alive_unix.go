//go:build unix

package client

import (
	"net"
	"syscall"
)

// alive reports whether an idle connection is still open and silent. A server may close one at any
// time. A mutation that is sent on such a connection would end with outcome unknown, although
// nothing happened.
func alive(c net.Conn) bool {
	s, ok := c.(syscall.Conn)
	// This is a TLS connection: the record layer would have to be asked.
	if !ok {
		return true
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return false
	}
	silent := false
	err = raw.Read(func(fd uintptr) bool {
		var b [1]byte
		_, _, e := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		silent = e == syscall.EAGAIN || e == syscall.EWOULDBLOCK
		return true
	})
	return err == nil && silent
}
