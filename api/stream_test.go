package api

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime"
	"runtime/pprof"
	"strings"
	"testing"
	"time"

	"viakv/api/kv"
)

// An HTTP/1.0 client gets no chunks. It learns of a cut by a reset.
func TestStreamToHTTP10(t *testing.T) {
	store, want := filled(t, 5000)
	h := start(t, Config{Store: store})
	head, body, _ := strings.Cut(h.raw("GET /getAll HTTP/1.0\r\n\r\n"), "\r\n\r\n")
	if strings.Contains(head, "chunked") || !strings.Contains(head, "Connection: close") {
		t.Errorf("headers %q", head)
	}
	var pairs map[string]string
	if err := json.Unmarshal([]byte(body), &pairs); err != nil {
		t.Fatal(err)
	}
	samePairs(t, pairs, want)

	cut := start(t, Config{Store: &endless{batches: 100, fault: func() error { return kv.ErrCleared }}})
	c := cut.dial(t)
	send(t, c, "GET /getAll HTTP/1.0\r\n\r\n")
	if _, err := io.Copy(io.Discard, c); err == nil {
		t.Error("the cut looks like an end")
	}
}

// A HEAD of what would be a stream has its headers and no body.
func TestHeadOfAStream(t *testing.T) {
	store := &endless{}
	h := start(t, Config{Store: store})
	a := h.do("HEAD", "/getAll", nil)
	if a.status != 200 || a.body != "" || a.header.Get("Content-Type") != "application/json" {
		t.Errorf("%+v", a)
	}
	eventually(t, "the scanner is closed", func() bool { return store.closed.Load() == 1 })
}

// After a stream the connection ends. Requests that were pipelined behind it are not answered.
func TestPipelining(t *testing.T) {
	store, _ := filled(t, 5000)
	h := start(t, Config{Store: store})
	one := "GET /set?k=a&v=1 HTTP/1.1\r\nHost: h\r\n\r\n"
	got := h.raw(strings.Repeat(one, 3) + "GET /get?k=a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
	r := bufio.NewReader(strings.NewReader(got))
	for range 3 {
		response, err := http.ReadResponse(r, nil)
		if err != nil || response.StatusCode != 200 {
			t.Fatalf("%v %+v", err, response)
		}
		_, _ = io.Copy(io.Discard, response.Body)
	}
	response, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if b, _ := io.ReadAll(response.Body); string(b) != "1" || !response.Close {
		t.Errorf("got %q, close %v", b, response.Close)
	}
	got = h.raw(one + "GET /getAll HTTP/1.1\r\nHost: h\r\n\r\n" + one)
	if strings.Count(got, "HTTP/1.1 200") != 2 || !strings.HasSuffix(got, "\r\n0\r\n\r\n") {
		t.Errorf("%d answers, the end is %q", strings.Count(got, "HTTP/1.1 200"), got[len(got)-20:])
	}
}

// stalledStream begins a stream and reads nothing of it, until it stalls.
func (h *harness) stalledStream(t testing.TB, store *endless) net.Conn {
	t.Helper()
	c := h.dial(t)
	send(t, c, "GET /getAll HTTP/1.1\r\nHost: h\r\n\r\n")
	eventually(t, "the stream stalls", func() bool {
		n := store.served.Load()
		time.Sleep(20 * time.Millisecond)
		return n > 0 && n == store.served.Load()
	})
	return c
}

// A reader that stops costs no memory, and loses its connection after the write time-out. Other
// clients are served meanwhile.
func TestStreamOfAStoppedReader(t *testing.T) {
	store := &endless{}
	h := start(t, Config{Store: store, WriteTimeout: 200 * time.Millisecond})
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	c := h.stalledStream(t, store)
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 4<<20 {
		t.Errorf("a stalled stream holds %d bytes", grown)
	}
	if h.get("/livez").status != 200 {
		t.Error("others are not served")
	}
	eventually(t, "the stream is cut", func() bool { return store.closed.Load() == 1 && len(h.server.scans) == 0 })
	b, err := io.ReadAll(c)
	if strings.HasSuffix(string(b), "0\r\n\r\n") {
		t.Errorf("a cut stream of %d bytes looks whole (%v)", len(b), err)
	}
}

func TestClientThatLeavesItsStream(t *testing.T) {
	store := &endless{}
	h := start(t, Config{Store: store})
	response, err := h.client.Get("http://" + h.addr + "/getAll")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(io.Discard, response.Body, 1<<20); err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	eventually(t, "the scan ends", func() bool { return store.closed.Load() == 1 })
}

func TestTooManyScans(t *testing.T) {
	store := &endless{}
	h := start(t, Config{Store: store, MaxScans: 1})
	response, err := h.client.Get("http://" + h.addr + "/getAll")
	if err != nil {
		t.Fatal(err)
	}
	a := h.get("/getKeys")
	a.problem(t, 503, "overloaded")
	if a.header.Get("Retry-After") != "1" {
		t.Errorf("headers %v", a.header)
	}
	response.Body.Close()
	eventually(t, "there is room again", func() bool { return h.get("/getKeys?limit=1").status == 200 })
}

func TestShutdownLetsStreamsFinish(t *testing.T) {
	store, want := filled(t, 20_000)
	h := start(t, Config{Store: store})
	response, err := h.client.Get("http://" + h.addr + "/getAll")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	down := make(chan error, 1)
	go func() { down <- h.server.Shutdown(context.Background()) }()
	var pairs map[string]string
	if err := json.NewDecoder(response.Body).Decode(&pairs); err != nil {
		_ = pprof.Lookup("goroutine").WriteTo(t.Output(), 1) // where it hangs
		t.Fatal(err)
	}
	samePairs(t, pairs, want)
	if err := <-down; err != nil {
		t.Error(err)
	}
}

func TestShutdownCutsStreamsWhenItsTimeIsUp(t *testing.T) {
	store := &endless{}
	h := start(t, Config{Store: store})
	response, err := h.client.Get("http://" + h.addr + "/getAll")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if err := h.shutdown(50 * time.Millisecond); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if store.closed.Load() != 1 {
		t.Error("a scan is left")
	}
	if n, err := io.Copy(io.Discard, response.Body); err == nil {
		t.Errorf("the cut looks like an end after %d bytes", n)
	}
}

// A stream that its reader holds up does not hold up the shutdown.
func TestShutdownCutsAStalledStream(t *testing.T) {
	store := &endless{}
	h := start(t, Config{Store: store, WriteTimeout: time.Hour})
	h.stalledStream(t, store)
	if err := h.shutdown(50 * time.Millisecond); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if open, _ := h.server.gate.stats(); open != 0 || store.closed.Load() != 1 {
		t.Errorf("%d connections and %d scans are left", open, 1-store.closed.Load())
	}
}
