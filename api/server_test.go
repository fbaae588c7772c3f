package api

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"viakv/api/kv/kvtest"
)

// One server may have several public listeners. All of them share its limits and end together.
func TestSeveralListeners(t *testing.T) {
	h := start(t, Config{})
	second := listener(t)
	end := h.serveAlso(t, h.server.Serve, second)
	h.get("/set?k=a&v=1").want(t, 200, "OK\n")
	h.addr = second.Addr().String()
	h.get("/get?k=a").want(t, 200, "1")
	if !strings.Contains(h.get("/metrics").body, "viakv_http_connections 2\n") {
		t.Error("the connections of both are not counted together")
	}
	end()
	if c, err := net.Dial("tcp", second.Addr().String()); err == nil {
		c.Close()
		t.Error("the second listener is still open")
	}
}

func TestServeAfterShutdown(t *testing.T) {
	s, err := New(Config{Store: &kvtest.Reference{}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	l := listener(t)
	if err := s.Serve(l); err == nil {
		t.Error("a server that was shut down serves")
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the listener is left open: %v", err)
	}
}

// deaf is a listener that cannot accept as long as its cause is set.
type deaf struct {
	net.Listener
	cause atomic.Pointer[error]
}

func (d *deaf) Accept() (net.Conn, error) {
	if cause := d.cause.Load(); cause != nil {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: *cause}
	}
	return d.Listener.Accept()
}

// No listener ends because nothing can be accepted for a while: the process may hold the only copy
// of its memory. /readyz says so on connections that a balancer already has.
func TestListenersOutliveWhatTheyCannotAccept(t *testing.T) {
	for says, cause := range map[string]error{
		"too many open files": os.NewSyscallError("accept4", syscall.EMFILE), "deaf": errors.New("deaf"),
	} {
		t.Run(says, func(t *testing.T) {
			h := start(t, Config{})
			l := listener(t)
			d := &deaf{Listener: l}
			d.cause.Store(&cause)
			end := h.serveAlso(t, h.server.Serve, d)
			h.get("/livez").want(t, 200, "OK\n")
			eventually(t, "the node is not ready", func() bool { return h.get("/readyz").status == 503 })
			if p := h.get("/readyz").problem(t, 503, "unavailable"); !strings.Contains(p.Detail, ": "+says) || !strings.Contains(p.Detail, l.Addr().String()) {
				t.Errorf("%q does not name both the cause and the address", p.Detail)
			}
			if body := h.get("/metrics").body; strings.Contains(body, "viakv_http_accept_failures_total 0\n") {
				t.Error("the failures are not counted")
			}
			h.get("/set?k=a&v=1").want(t, 200, "OK\n")
			d.cause.Store(nil)
			eventually(t, "the node is ready again", func() bool { return h.get("/readyz").status == 200 })
			h.addr = l.Addr().String()
			h.get("/get?k=a").want(t, 200, "1")

			// A shutdown does not wait for connections that cannot be accepted.
			d.cause.Store(&cause)
			end()
		})
	}
}

// A listener in memory works as well: nothing depends on TCP.
func TestRequestsOverAPipe(t *testing.T) {
	s, err := New(Config{Store: &endless{batches: 200, fault: func() error { return nil }}})
	if err != nil {
		t.Fatal(err)
	}
	l := newPipeListener()
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	for request, want := range map[string]string{
		"GET /livez HTTP/1.0\r\n\r\n":                             "OK\n",
		"BROKEN\r\n\r\n":                                          "urn:viakv:problem:malformed",
		"GET /getKeys HTTP/1.0\r\n\r\n":                           "HTTP/1.1 200 OK",
		"GET /getKeys HTTP/1.1\r\nHost: h\r\nAccept: */*\r\n\r\n": "Transfer-Encoding: chunked",
	} {
		if got := l.exchange(t, request); !strings.Contains(got, want) {
			t.Errorf("%q: got %.200q", request, got)
		}
	}
	if err := s.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}
