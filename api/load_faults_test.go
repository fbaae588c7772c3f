package api

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
)

// A client may pause for as long as the time-out, again and again: the time of a load is not
// bounded.
func TestALoadMayTakeLongerThanTheTimeout(t *testing.T) {
	h := start(t, Config{ReadTimeout: 2 * time.Second})
	in, out := io.Pipe()
	go func() {
		for i := range 10 {
			time.Sleep(300 * time.Millisecond) // the client's pace
			fmt.Fprintf(out, `{"key":"k%d","value":""}`+"\n", i)
		}
		_ = out.Close()
	}()
	h.do("POST", "/setAll", in).want(t, 200, "OK, 10 values are stored\n")
}

// A node that shuts down ends its loads, and says what is stored.
func TestShutdownEndsALoad(t *testing.T) {
	began, goOn := make(chan struct{}), make(chan struct{})
	store := &loadStore{begin: func(batch int) {
		if batch == 1 {
			close(began)
			<-goOn
		}
	}}
	h := start(t, Config{Store: store})
	answered := make(chan answer)
	go func() {
		defer close(answered) // also where there is no answer
		answered <- h.do("POST", "/setAll", strings.NewReader(lines(500_000)))
	}()
	<-began
	ended := make(chan error)
	go func() { ended <- h.shutdown(time.Minute) }()
	eventually(t, "the gate closes", h.server.gate.closing.Load)
	close(goOn)
	p := (<-answered).loadProblem(t, 503, "unavailable")
	if p.Stored == 0 || p.Next != p.Stored+1 || !strings.Contains(p.Detail, "shutting down") {
		t.Errorf("%+v", p)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// Loads are bounded, answer POST alone, and need a token that may write. Before they are let in,
// nothing of the body is read.
func TestLoadsAreLetIn(t *testing.T) {
	began, goOn := make(chan struct{}), make(chan struct{})
	store := &loadStore{begin: func(int) {
		close(began)
		<-goOn
	}}
	h := start(t, Config{Store: store, MaxLoads: 1})
	answered := make(chan answer)
	go func() {
		defer close(answered) // also where there is no answer
		answered <- h.do("POST", "/setAll", strings.NewReader(lines(1)))
	}()
	<-began
	if p := h.do("POST", "/setAll", strings.NewReader(lines(1))).problem(t, 503, "overloaded"); p.Outcome != "none" {
		t.Errorf("%+v", p)
	}
	close(goOn)
	(<-answered).want(t, 200, "OK, 1 value is stored\n")
	store.begin = nil
	h.do("POST", "/setAll", strings.NewReader(lines(1)), "Expect", "100-continue").want(t, 200, "OK, 1 value is stored\n")
	for _, method := range []string{"GET", "HEAD", "PUT"} {
		if a := h.do(method, "/setAll", nil); a.status != 405 || a.header.Get("Allow") != "POST" {
			t.Errorf("%s: %+v", method, a)
		}
	}
	h.do("POST", "/setAll", strings.NewReader(lines(1)), "Origin", "http://elsewhere.example").problem(t, 403, "cross-site")
}

// A fault of the store ends one load and nothing else.
func TestAPanicInALoad(t *testing.T) {
	store := &loadStore{fail: func(string) error { panic("of the store") }}
	h := start(t, Config{Store: store, MaxLoads: 1})
	if p := h.do("POST", "/setAll", strings.NewReader(lines(1))).problem(t, 500, "internal"); p.Outcome != "unknown" {
		t.Errorf("%+v", p)
	}
	store.fail, store.running = nil, false
	h.do("POST", "/setAll", strings.NewReader(lines(1))).want(t, 200, "OK, 1 value is stored\n")
}

// Requests behind a load on the same connection are answered.
func TestARequestBehindALoad(t *testing.T) {
	h := start(t, Config{})
	body := lines(1000)
	raw := h.raw(fmt.Sprintf("POST /setAll HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%sGET /get?k=k1000 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", len(body), body))
	if !strings.Contains(raw, "OK, 1000 values are stored") || !strings.HasSuffix(raw, "v1000") {
		t.Errorf("got %q", raw)
	}
}
