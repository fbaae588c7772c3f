package client_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"viakv/api"
	"viakv/api/apitest"
	"viakv/api/client"
	"viakv/api/kv"
)

// serve runs the real API over a reference store until the test ends, and returns its address.
func serve(t testing.TB, config api.Config) string {
	t.Helper()
	return strings.TrimPrefix(apitest.Serve(t, config), "http://")
}

func connect(t testing.TB, config client.Config) *client.Client {
	t.Helper()
	c, err := client.New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func connectTo(t testing.TB, endpoints ...string) *client.Client {
	t.Helper()
	return connect(t, client.Config{Endpoints: endpoints})
}

// nowhere returns an address at which nothing listens.
func nowhere(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// scripted is a server that reads each request and then does with the connection what the test
// says.
type scripted struct {
	addr     string
	requests atomic.Int64
}

func script(t testing.TB, answer func(r *http.Request, c net.Conn) (goOn bool)) *scripted {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &scripted{addr: l.Addr().String()}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				for r := bufio.NewReader(c); ; {
					request, err := http.ReadRequest(r)
					if err != nil {
						return
					}
					s.requests.Add(1)
					if !answer(request, c) {
						return
					}
				}
			}()
		}
	}()
	return s
}

func write(c net.Conn, text string) bool {
	_, err := io.WriteString(c, text)
	return err == nil
}

// reply returns a script that answers every request with the same text.
func reply(text string) func(*http.Request, net.Conn) bool {
	return func(_ *http.Request, c net.Conn) bool { return write(c, text) }
}

const ok = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\ngreen"

// want fails unless err is an *Error with these facts.
func want(t testing.TB, err error, status int, outcome kv.Outcome, sentinel error) *client.Error {
	t.Helper()
	e, ok := errors.AsType[*client.Error](err)
	if !ok {
		t.Fatalf("got %v, want an *Error", err)
	}
	if e.Status != status || e.Outcome != outcome || sentinel != nil && !errors.Is(err, sentinel) {
		t.Fatalf("got %+v, want status %d, outcome %v, matching %v", e, status, outcome, sentinel)
	}
	return e
}
