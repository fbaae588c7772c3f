package api

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"viakv/api/kv/kvtest"
)

// One server may have several public listeners; all share its limits and end together.
func TestSeveralListeners(t *testing.T) {
	h := start(t, Config{})
	second, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- h.server.Serve(second) }()
	h.get("/set?k=a&v=1").want(t, 200, "OK\n")
	first := h.addr
	h.addr = second.Addr().String()
	h.get("/get?k=a").want(t, 200, "1")
	if !strings.Contains(h.get("/metrics").body, "viakv_http_connections 2\n") {
		t.Error("the connections of both are not counted together")
	}
	h.addr = first
	h.client.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := h.server.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
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
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Serve(l); err == nil {
		t.Error("a server that was shut down serves")
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the listener is left open: %v", err)
	}
}

// deaf is a listener that fails.
type deaf struct{ net.Listener }

func (deaf) Accept() (net.Conn, error) { return nil, errors.New("deaf") }
func (deaf) Addr() net.Addr            { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9} }
func (deaf) Close() error              { return nil }

func TestBrokenListener(t *testing.T) {
	s, err := New(Config{Store: &kvtest.Reference{}})
	if err != nil {
		t.Fatal(err)
	}
	for name, serve := range map[string]func(net.Listener) error{"public": s.Serve, "admin": s.ServeAdmin} {
		if err := serve(deaf{}); err == nil || !strings.Contains(err.Error(), "127.0.0.1:9") || !strings.Contains(err.Error(), "deaf") {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if err := s.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
}

// An in-memory listener does as well: nothing depends on TCP.
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
