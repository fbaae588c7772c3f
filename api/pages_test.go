package api

import (
	"strconv"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"
)

func TestDiscoveryTakesWhatProxiesSend(t *testing.T) {
	got := make(chan int, 1)
	h := start(t, Config{Discovery: func(ctx *fasthttp.RequestCtx) {
		got <- len(ctx.Request.Body())
		ctx.SetBodyString("{}")
	}})
	for _, n := range []int{0, 100_000, maxDiscoveryBytes} {
		if a := h.do("POST", discoveryPath, strings.NewReader(strings.Repeat("x", n)), "Content-Type", "application/json"); a.status != 200 || a.body != "{}" {
			t.Errorf("%d bytes: %d %s", n, a.status, a.body)
		} else if length := <-got; length != n {
			t.Errorf("%d bytes arrived of %d", length, n)
		}
	}
	if a := h.do("GET", discoveryPath, nil); a.status != 200 {
		t.Errorf("GET: %d", a.status)
	}
	// These bodies are too large there, too large elsewhere, and too large under a name that is
	// only similar.
	for path, n := range map[string]int{discoveryPath: maxDiscoveryBytes + 1, "/set": 100_000, discoveryPath + "x": 100_000} {
		// Only the head is sent. A client that is still sending the rest may find the connection
		// closed before it has read the answer.
		got := h.raw("POST " + path + " HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + strconv.Itoa(n) + "\r\n\r\nx")
		if !strings.HasPrefix(got, "HTTP/1.1 413 ") {
			t.Errorf("POST %s of %d bytes: %.200q, want 413", path, n, got)
		}
	}
	if a := h.do("DELETE", discoveryPath, nil); a.status != 405 || a.header.Get("Allow") != "GET, HEAD, POST" {
		t.Errorf("DELETE: %d, Allow %q", a.status, a.header.Get("Allow"))
	}
}

func TestNoDiscoveryWithoutOne(t *testing.T) {
	if a := start(t, Config{}).do("POST", discoveryPath, nil); a.status != 404 {
		t.Errorf("status %d, want 404", a.status)
	}
}
