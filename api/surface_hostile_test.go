package api

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"pgregory.net/rapid"
)

// hostileChecks draws pipelines of requests, of which some are no HTTP.
func hostileChecks(t testing.TB) func(*rapid.T) {
	core, logs := observer.New(zap.ErrorLevel)
	h := start(t, Config{Logger: zap.New(core)})
	h.get("/livez").want(t, 200, "*") // Serve runs before the server is stopped
	pieces := rapid.OneOf(
		rapid.SampledFrom([]string{
			"GET /get?k=a HTTP/1.1\r\nHost: a\r\n\r\n", "HEAD /getAll HTTP/1.1\r\nHost: a\r\n\r\n", "GET /getAll HTTP/1.0\r\n\r\n", "GET / HTTP/9.9\r\n\r\n",
			"POST /rm HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nk=a", "POST /rm HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
			"POST /rm HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n", "POST /rm HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nk=ab",
			"POST /rm HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nk=a\r\n0\r\n\r\n", "POST /rm HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
			"POST /rm HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", "POST /rm HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nk=a",
			"GET\r\n\r\n", "GET /get", " ", "\r\n", "\n\n", "\x00", "\x16\x03\x01\x02\x00", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "GET http://[::1/ HTTP/1.1\r\n\r\n", "GET //%zz HTTP/1.1\r\nHost: \xff\r\n\r\n",
			"GET /get?k=a HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", "GET /get?k=a HTTP/1.1\r\nno colon\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n",
			"GET /" + strings.Repeat("x", 20<<10) + " HTTP/1.1\r\n\r\n",
		}),
		rapid.Custom(func(t *rapid.T) string {
			return string(rapid.SliceOfN(rapid.Byte(), 0, 64).Draw(t, "bytes"))
		}))
	return func(t *rapid.T) {
		sent := strings.Join(rapid.SliceOfN(pieces, 1, 8).Draw(t, "pieces"), "")
		hostile(t, h.addr, sent)
		if a := h.as(t).get("/livez"); a.status != 200 || logs.Len() > 0 {
			t.Fatalf("after %q: %d %q, logged %v", sent, a.status, a.body, logs.TakeAll())
		}
	}
}

// hostile sends bytes. It wants answers that are HTTP and not of status 5xx, and then the end of
// the connection.
func hostile(t *rapid.T, addr, sent string) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if err := c.SetDeadline(time.Now().Add(60 * time.Second)); err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(c, sent) // the server may have hung up
	_ = c.(*net.TCPConn).CloseWrite()
	all, err := io.ReadAll(bufio.NewReader(c))
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("%q: the connection stays open", sent)
	}
	for _, line := range strings.Split(string(all), "\r\n") {
		if strings.HasPrefix(line, "HTTP/1.1 5") {
			t.Fatalf("%q: %q", sent, all)
		}
	}
	if len(all) == 0 {
		return
	}
	if _, err := http.ReadResponse(bufio.NewReader(strings.NewReader(string(all))), nil); err != nil {
		t.Fatalf("%q: %q: %v", sent, all, err)
	}
}

// Whatever bytes come, the connection ends, and the server answers others.
func TestSurfaceBearsHostileBytes(t *testing.T) { rapid.Check(t, hostileChecks(t)) }

func FuzzHostile(f *testing.F) { f.Fuzz(rapid.MakeFuzz(hostileChecks(f))) }
