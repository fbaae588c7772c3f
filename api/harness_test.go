package api

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"viakv/api/kv/kvtest"
)

// TestMain checks that no goroutine outlives its server. fasthttp keeps two kinds of goroutines for
// good: the clock behind the Date header, and the cleaner of each worker pool. A cleaner sleeps for
// ten seconds before it looks whether its pool has stopped.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
	)
}

// reporter is what a harness reports failures to: a test, or one check of a property.
type reporter interface {
	Helper()
	Error(args ...any)
	Fatal(args ...any)
	Logf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// hangTime is after how long a request counts as hanging. A busy machine takes far less.
const hangTime = 5 * time.Minute

// harness is a server on a loopback port with a client of its own.
type harness struct {
	t      reporter
	server *Server
	addr   string
	client *http.Client
	done   chan error
}

// start serves a configuration until the test ends. Without a store in it, it serves an empty
// reference store.
func start(t testing.TB, config Config) *harness {
	t.Helper()
	return startAt(t, config, listener(t))
}

// startAt is start on a listener of the test.
func startAt(t testing.TB, config Config, l net.Listener) *harness {
	t.Helper()
	if config.Store == nil {
		config.Store = &kvtest.Reference{}
	}
	s, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	h := &harness{t: t, server: s, addr: l.Addr().String(), done: make(chan error, 1)}
	h.client = &http.Client{Timeout: hangTime, Transport: &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 64}}
	go func() { h.done <- s.Serve(l) }()
	t.Cleanup(h.stop)
	return h
}

// listener returns a listener on a loopback port.
func listener(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// as returns the harness for one check of a property. A fuzz target must not report to the test
// around it.
func (h *harness) as(t reporter) *harness {
	c := *h
	c.t = t
	return &c
}

func (h *harness) stop() {
	if err := h.shutdown(10 * time.Second); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		h.t.Error(err)
	}
	if err := <-h.done; err != nil {
		h.t.Error(err)
	}
}

// shutdown ends the server, and the client's own idle connections. It cuts what takes longer.
func (h *harness) shutdown(within time.Duration) error {
	h.client.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	return h.server.Shutdown(ctx)
}

// serveAlso serves a further listener, with Serve or ServeAdmin. The function that it returns ends
// the server, and fails the test unless all goes well.
func (h *harness) serveAlso(t testing.TB, serve func(net.Listener) error, l net.Listener) (end func()) {
	done := make(chan error, 1)
	go func() { done <- serve(l) }()
	return func() {
		t.Helper()
		if err := h.shutdown(10 * time.Second); err != nil {
			t.Error(err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// admin serves the admin listener until the test ends, and returns its address.
func (h *harness) admin(t testing.TB) string {
	t.Helper()
	l := listener(t)
	t.Cleanup(h.serveAlso(t, h.server.ServeAdmin, l))
	return l.Addr().String()
}

// dial opens a connection that is closed when the test ends. Nothing on it waits for longer than a
// minute.
func (h *harness) dial(t testing.TB) net.Conn {
	t.Helper()
	return dial(t, h.addr)
}

func dial(t testing.TB, address string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	within(t, time.Minute, c)
	return c
}

// within bounds the time in which the server must have done with connections.
func within(t testing.TB, d time.Duration, all ...net.Conn) {
	t.Helper()
	for _, c := range all {
		if err := c.SetDeadline(time.Now().Add(d)); err != nil {
			t.Fatal(err)
		}
	}
}

// connections opens connections that send nothing, until the test ends.
func (h *harness) connections(t testing.TB, n int) (held []net.Conn) {
	t.Helper()
	for range n {
		held = append(held, h.dial(t))
	}
	return held
}

// send writes to a connection what must be taken.
func send(t testing.TB, c net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
}

// untilOpen waits until so many public connections are open.
func (h *harness) untilOpen(t testing.TB, n int) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d connections are open", n), func() bool { open, _ := h.server.gate.stats(); return open == n })
}

// answer is a response that was read to its end.
type answer struct {
	status int
	header http.Header
	body   string
}

func (h *harness) do(method, path string, body io.Reader, headers ...string) answer {
	h.t.Helper()
	r, err := http.NewRequest(method, "http://"+h.addr+path, body)
	if err != nil {
		h.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
		if headers[i] == "Host" {
			r.Host = headers[i+1]
		}
	}
	response, err := h.client.Do(r)
	if err != nil {
		h.t.Fatal(err)
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	if err != nil {
		h.t.Fatalf("%s %s: %v after %d bytes", method, path, err, len(b))
	}
	return answer{response.StatusCode, response.Header, string(b)}
}

func (h *harness) get(path string, headers ...string) answer {
	h.t.Helper()
	return h.do("GET", path, nil, headers...)
}

func (h *harness) post(path string, form url.Values, headers ...string) answer {
	h.t.Helper()
	headers = append([]string{"Content-Type", "application/x-www-form-urlencoded"}, headers...)
	return h.do("POST", path, strings.NewReader(form.Encode()), headers...)
}

// want fails the test unless the answer has this status and this body. The body "*" stands for any.
func (a answer) want(t testing.TB, status int, body string) {
	t.Helper()
	if a.status != status || body != "*" && a.body != body {
		t.Errorf("got %d %q, want %d %q", a.status, a.body, status, body)
	}
}

// problemDocument is what a client reads of an error.
type problemDocument struct {
	Type, Title, Detail, Outcome, Parameter string
	Status                                  int
	Endpoints                               []string
}

// problem checks the form of an error and returns its document.
func (a answer) problem(t testing.TB, status int, slug string) problemDocument {
	t.Helper()
	var p problemDocument
	if a.status != status {
		t.Errorf("got status %d %q, want %d", a.status, a.body, status)
	}
	if got := a.header.Get("Content-Type"); got != problemType {
		t.Errorf("got content type %q of %q", got, a.body)
	}
	if err := json.Unmarshal([]byte(a.body), &p); err != nil {
		t.Fatalf("%v in %q", err, a.body)
	}
	if p.Type != problemTypePrefix+slug || p.Status != a.status || p.Title == "" || p.Detail == "" {
		t.Errorf("got %+v, want status %d, type …%s", p, status, slug)
	}
	if p.Outcome != "none" && p.Outcome != "unknown" {
		t.Errorf("got outcome %q", p.Outcome)
	}
	if retriable := a.header.Get("X-Viakv-Retriable") == "true"; retriable != (a.status == 503 && p.Outcome == "none") {
		t.Errorf("retriable is %v with status %d and outcome %s", retriable, a.status, p.Outcome)
	}
	return p
}

// raw sends bytes on a connection of their own. It returns all that comes back until the server
// closes or the time is over.
func (h *harness) raw(request string) string {
	h.t.Helper()
	c, err := net.Dial("tcp", h.addr)
	if err != nil {
		h.t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		h.t.Fatal(err)
	}
	if _, err := io.WriteString(c, request); err != nil {
		h.t.Fatal(err)
	}
	b, err := io.ReadAll(bufio.NewReader(c))
	if err != nil {
		h.t.Logf("after %d bytes: %v", len(b), err)
	}
	return string(b)
}

// eventually polls until the condition holds.
func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !condition() {
		if time.Now().After(deadline) {
			t.Fatalf("not within 10 s: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// pipeListener accepts connections that are pipes in memory.
type pipeListener struct {
	connections chan net.Conn
	closed      chan struct{}
}

func newPipeListener() *pipeListener {
	return &pipeListener{make(chan net.Conn), make(chan struct{})}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.connections:
		return c, nil
	case <-l.closed:
		return nil, io.EOF
	}
}

func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "pipe"} }

func (l *pipeListener) Close() error {
	close(l.closed)
	return nil
}

// exchange sends a request and returns all that comes back.
func (l *pipeListener) exchange(t testing.TB, request string) string {
	t.Helper()
	client, server := net.Pipe()
	defer client.Close()
	l.connections <- server
	if err := client.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.WriteString(client, request) }()
	b, err := io.ReadAll(client)
	if err != nil {
		t.Errorf("%q: %v after %d bytes", request, err, len(b))
	}
	return string(b)
}
