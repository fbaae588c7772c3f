package e2e

import (
	"strings"
	"syscall"
	"testing"
	"unsafe"
)

// limitFiles changes how many files and sockets a running process may have open.
func limitFiles(t *testing.T, pid int, files uint64) {
	t.Helper()
	limit := syscall.Rlimit{Cur: files, Max: 1024}
	_, _, errno := syscall.RawSyscall6(syscall.SYS_PRLIMIT64, uintptr(pid), syscall.RLIMIT_NOFILE, uintptr(unsafe.Pointer(&limit)), 0, 0, 0)
	if errno != 0 {
		t.Fatal(errno)
	}
}

// A listener waits when descriptors run out nevertheless. The node does not end, it says what is
// wrong on the connections that it has, and it recovers by itself.
func TestDescriptorsThatRunOutAreWaitedFor(t *testing.T) {
	t.Parallel()
	m := newMesh(t, "a", "b", "c")
	m.set("a", "k", "v")
	on := keep(t, m.nodes["a"].http)
	on.expect(200, "/readyz")
	pid := m.nodes["a"].Pid()
	limitFiles(t, pid, 3)
	// knock is a connection that is accepted once that is possible.
	knock := keep(t, m.nodes["a"].http)
	on.await(503, "/readyz")
	if body := on.expect(503, "/readyz"); !strings.Contains(body, "no connection can be accepted at "+m.nodes["a"].http+": too many open files") {
		t.Errorf("a says only: %s", body)
	}
	on.expect(200, "/livez")
	on.expect(200, "/set?k=k&v=w")
	limitFiles(t, pid, 1024)
	knock.expect(200, "/get?k=k")
	on.await(200, "/readyz")
	m.nodes["a"].Line("accepting connections again")

	// The peer port: b's connections end, and it cannot connect again.
	limitFiles(t, pid, 3)
	m.kill("b")
	m.boot("b")
	on.await(503, "/readyz")
	if body := on.expect(503, "/readyz"); !strings.Contains(body, "other members cannot connect: no connection can be accepted at "+m.nodes["a"].peer+": too many open files") {
		t.Errorf("a says only: %s", body)
	}
	limitFiles(t, pid, 1024)
	m.ready("b")
	m.want("b", "k", "w")
	on.await(200, "/readyz")
	failures := 0
	for _, l := range m.nodes["a"].Lines() {
		if strings.Contains(l, "cannot accept") {
			failures++
		}
	}
	if failures > 4 {
		t.Errorf("%d lines say that a cannot accept", failures)
	}
	if body := m.ask("a", 200, "/metrics"); strings.Contains(body, "viakv_http_accept_failures_total 0\n") || strings.Contains(body, "viakv_peer_accept_failures_total 0\n") {
		t.Error("the failures are not counted")
	}
}
