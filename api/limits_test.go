package api

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// readProblem parses a response from raw bytes and checks that it is this problem.
func readProblem(t testing.TB, raw string, status int, slug string) {
	t.Helper()
	response, err := http.ReadResponse(bufio.NewReader(strings.NewReader(raw)), nil)
	if err != nil {
		t.Errorf("%v in %q", err, raw)
		return
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	answer{response.StatusCode, response.Header, string(body)}.problem(t, status, slug)
	if !response.Close {
		t.Error("the connection is kept")
	}
	if response.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("headers %v", response.Header)
	}
}

func TestMalformedRequests(t *testing.T) {
	store := &recorder{}
	h := start(t, Config{Store: store})
	for name, c := range map[string]struct {
		request string
		status  int
		slug    string
	}{
		"no HTTP":               {"hello\r\n\r\n", 400, "malformed"},
		"no host":               {"GET /set?k=a&v=1 HTTP/1.1\r\n\r\n", 400, "malformed"},
		"a space":               {"GET /set?k=a b&v=1 HTTP/1.1\r\nHost: h\r\n\r\n", 400, "malformed"},
		"a control character":   {"GET /set?k=a\x01&v=1 HTTP/1.1\r\nHost: h\r\n\r\n", 400, "malformed"},
		"two lengths":           {"POST /set?k=a&v=1 HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx", 400, "malformed"},
		"length and chunks":     {"POST /set?k=a&v=1 HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n", 400, "malformed"},
		"a broken chunk":        {"POST /set?k=a&v=1 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n", 400, "malformed"},
		"a negative length":     {"POST /set?k=a&v=1 HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n", 400, "malformed"},
		"a huge header":         {"GET /set?k=a&v=1 HTTP/1.1\r\nHost: h\r\nX: " + strings.Repeat("x", 100<<10) + "\r\n\r\n", 431, "headers-too-large"},
		"many headers":          {"GET /set?k=a&v=1 HTTP/1.1\r\nHost: h\r\n" + strings.Repeat("X: y\r\n", 20_000) + "\r\n", 431, "headers-too-large"},
		"a huge URL":            {"GET /set?k=a&v=" + strings.Repeat("x", 100<<10) + " HTTP/1.1\r\nHost: h\r\n\r\n", 431, "headers-too-large"},
		"a huge announced body": {"POST /set?k=a&v=1 HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000000000000\r\n\r\nv=1", 413, "body-too-large"},
		"a huge chunked body": {"POST /set?k=a&v=1 HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n\r\n" +
			strings.Repeat("1000\r\n"+strings.Repeat("x", 0x1000)+"\r\n", 20), 413, "body-too-large"},
	} {
		t.Run(name, func(t *testing.T) { readProblem(t, h.raw(c.request), c.status, c.slug) })
	}
	// This URL is longer than the longest legal one, and still fits the buffer.
	h.get("/set?k=a&v="+strings.Repeat("x", 9<<10)).problem(t, 414, "url-too-long")
	if n := store.calls.Load(); n != 0 {
		t.Errorf("the store was called %d times", n)
	}
	if h.get("/livez").status != 200 {
		t.Error("the server does not answer any more")
	}
	if !strings.Contains(h.get("/metrics").body, "viakv_http_malformed_requests_total 13\n") {
		t.Error("the malformed requests are not counted")
	}
}

// Requests that arrive too slowly are ended.
func TestSlowClients(t *testing.T) {
	h := start(t, Config{ReadTimeout: 100 * time.Millisecond, IdleTimeout: 100 * time.Millisecond})
	silent, halfway, drip, idle, body := h.dial(t), h.dial(t), h.dial(t), h.dial(t), h.dial(t)
	within(t, 10*time.Second, silent, halfway, drip, idle, body)
	_, _ = io.WriteString(halfway, "GET /get?k=a HTTP/1.1\r\nHost: h\r\n")
	_, _ = io.WriteString(body, "POST /set HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nk=")
	_, _ = io.WriteString(idle, "GET /livez HTTP/1.1\r\nHost: h\r\n\r\n")
	dripped := make(chan int, 1)
	// This client sends a byte now and then, and never a whole request.
	go func() {
		n := 0
		for err := error(nil); err == nil && n < 10_000; n++ {
			_, err = io.WriteString(drip, "G")
			time.Sleep(5 * time.Millisecond)
		}
		dripped <- n
	}()
	// A request that has begun is answered with 408; a connection without one is closed.
	for name, c := range map[string]net.Conn{"halfway": halfway, "body": body} {
		b, err := io.ReadAll(c)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		readProblem(t, string(b), 408, "request-timeout")
	}
	for name, c := range map[string]net.Conn{"silent": silent, "idle": idle} {
		b, err := io.ReadAll(c)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if name == "idle" && !strings.HasSuffix(string(b), "OK\n") {
			t.Errorf("idle: got %q", b)
		}
	}
	if n := <-dripped; n >= 10_000 {
		t.Error("a dripping client is never ended")
	}
	h.untilOpen(t, 0)
}

func TestTooManyRequestsInFlight(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	store := &recorder{hook: func(_ context.Context, call string) error {
		if call == "get" {
			entered <- struct{}{}
			<-release
		}
		return nil
	}}
	h := start(t, Config{Store: store, MaxInFlight: 2})
	done := make(chan answer, 2)
	for range 2 {
		go func() { done <- h.get("/get?k=a") }()
		<-entered
	}
	a := h.get("/set?k=a&v=1")
	a.problem(t, 503, "overloaded")
	if a.header.Get("Retry-After") != "1" {
		t.Errorf("headers %v", a.header)
	}
	for _, free := range []string{"/livez", "/readyz"} {
		h.get(free).want(t, 200, "OK\n")
	}
	if body := h.get("/metrics").body; !strings.Contains(body, "viakv_http_requests_in_flight 2\n") || !strings.Contains(body, "viakv_http_overloads_total 1\n") {
		t.Error("the metrics say otherwise")
	}
	close(release)
	for range 2 {
		(<-done).problem(t, 404, "missing")
	}
	h.get("/set?k=a&v=1").want(t, 200, "OK\n")
}

func TestTooManyConnections(t *testing.T) {
	for name, config := range map[string]Config{"in all": {MaxConnections: 2}, "from one address": {MaxConnectionsPerIP: 2}} {
		t.Run(name, func(t *testing.T) {
			h := start(t, config)
			held := h.connections(t, 2)
			h.untilOpen(t, 2)
			// The answer arrives although nothing of the request was read.
			readProblem(t, h.raw("GET /get?k=a HTTP/1.1\r\nHost: h\r\n\r\n"), 503, "overloaded")
			held[0].Close()
			h.untilOpen(t, 1)
			h.get("/livez").want(t, 200, "OK\n")
		})
	}
}

func TestShutdownCancelsWhatHangs(t *testing.T) {
	entered := make(chan struct{})
	store := &recorder{hook: func(ctx context.Context, call string) error {
		if call == "get" {
			close(entered)
			<-ctx.Done()
			return ctx.Err()
		}
		return nil
	}}
	h := start(t, Config{Store: store})
	done := make(chan struct{})
	go func() {
		defer close(done)
		if response, err := h.client.Get("http://" + h.addr + "/get?k=a"); err == nil {
			response.Body.Close()
		}
	}()
	<-entered
	if err := h.shutdown(50 * time.Millisecond); err == nil {
		t.Error("no error although a request was cut")
	}
	<-done
}

func TestDrain(t *testing.T) {
	h := start(t, Config{})
	h.get("/readyz").want(t, 200, "OK\n")
	h.server.Drain()
	p := h.get("/readyz").problem(t, 503, "unavailable")
	if !strings.Contains(p.Detail, "shutting down") {
		t.Errorf("%+v", p)
	}
	h.get("/livez").want(t, 200, "OK\n")
	h.get("/set?k=a&v=1").want(t, 200, "OK\n")
}

// Deadlines are set lazily. A connection that is used must still outlive its time-outs, however
// short they are.
func TestBusyConnectionOutlivesItsTimeouts(t *testing.T) {
	const timeout = 400 * time.Millisecond
	h := start(t, Config{ReadTimeout: timeout, WriteTimeout: timeout, IdleTimeout: timeout})
	eventually(t, "a connection is served for three times its time-outs", func() bool {
		c := h.dial(t)
		r := bufio.NewReader(c)
		last := time.Now()
		for begin := last; time.Since(begin) < 3*timeout; time.Sleep(timeout / 20) {
			_, err := io.WriteString(c, "GET /livez HTTP/1.1\r\nHost: h\r\n\r\n")
			if err == nil {
				var response *http.Response
				if response, err = http.ReadResponse(r, nil); err == nil {
					_, err = io.Copy(io.Discard, response.Body)
				}
			}
			pause := time.Since(last)
			if err != nil && pause < timeout/2 {
				t.Fatalf("after %s, %s of it idle: %v", time.Since(begin), pause, err)
			}
			if err != nil {
				// The machine was busy elsewhere, and the server was right: it is tried again.
				return false
			}
			last = time.Now()
		}
		return true
	})
}

func TestStaleDeadlines(t *testing.T) {
	const slack = 10 * time.Millisecond
	now := time.Now()
	for _, c := range []struct {
		armed, wanted time.Time
		want          bool
	}{
		{time.Time{}, time.Time{}, false},
		{time.Time{}, now, true},
		{now, time.Time{}, true}, // a hijacked connection has no deadline
		{now, now, false},
		{now, now.Add(slack), false},
		{now, now.Add(slack + 1), true},
		{now, now.Add(-1), true}, // an armed deadline is never later than asked
	} {
		if got := stale(c.armed, c.wanted, slack); got != c.want {
			t.Errorf("armed for %v, wanted for %v: %v", c.armed, c.wanted, got)
		}
	}
	for timeout, want := range map[time.Duration]time.Duration{time.Minute: time.Second, 80 * time.Millisecond: slack} {
		if got := deadlineSlack(timeout); got != want {
			t.Errorf("%s: slack %s", timeout, got)
		}
	}
}

// A client that waits for permission to send its body gets the permission, or learns why not.
func TestExpectContinue(t *testing.T) {
	h := start(t, Config{})
	got := h.raw("POST /set HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-www-form-urlencoded\r\nExpect: 100-continue\r\nContent-Length: 7\r\nConnection: close\r\n\r\nk=a&v=1")
	if !strings.HasPrefix(got, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n") {
		t.Errorf("got %q", got)
	}
	got = h.raw("POST /set HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-www-form-urlencoded\r\nExpect: 100-continue\r\nContent-Length: 70000\r\n\r\n")
	if !strings.Contains(got, "HTTP/1.1 413 ") {
		t.Errorf("got %q", got)
	}
}

// A client that opens a connection to the TLS port and sends nothing is ended like any other.
func TestSilentHandshake(t *testing.T) {
	h := start(t, Config{TLS: newAuthority(t).files(t), ReadTimeout: 100 * time.Millisecond})
	c := h.dial(t)
	within(t, 10*time.Second, c)
	if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the connection is still open")
	}
	h.untilOpen(t, 0)
}

// Large answers are not kept by the connection that carried them: thousands of idle connections
// would hold gigabytes.
func TestPagesAreNotKept(t *testing.T) {
	if testing.Short() {
		t.Skip("sends large pages and measures memory")
	}
	store, _ := filled(t, 20_000)
	h := start(t, Config{Store: store})
	request := "GET /getAll?limit=10000 HTTP/1.1\r\nHost: h\r\n\r\n"
	const connections = 40
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC() // pools are emptied by the second
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	var size int64
	for range connections {
		c := h.dial(t)
		send(t, c, request)
		response, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		if size, err = io.Copy(io.Discard, response.Body); err != nil || size < 500_000 {
			t.Fatalf("%d bytes, %v", size, err)
		}
	}
	if grown := heap() - before; grown > connections*size/4 {
		t.Errorf("%d idle connections hold %d bytes after answers of %d each", connections, grown, size)
	}
}

// A client that goes on sending after its request was refused is not reset before it has read why.
func TestRefusalReachesAClientThatIsStillSending(t *testing.T) {
	h := start(t, Config{})
	c := h.dial(t)
	send(t, c, "GET /get?k=a HTTP/1.1\r\nHost: h\r\nX: "+strings.Repeat("x", 60<<10))
	first := make([]byte, 12)
	if _, err := io.ReadFull(c, first); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := io.WriteString(c, strings.Repeat("x", 1<<10)); err != nil {
			t.Fatalf("while sending: %v", err)
		}
	}
	rest, err := io.ReadAll(c)
	if err != nil {
		t.Fatalf("while reading: %v", err)
	}
	readProblem(t, string(first)+string(rest), 431, "headers-too-large")
}
