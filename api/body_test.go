package api

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// inChunks writes a body as one chunk, without the last one.
func inChunks(body string) string {
	return "Transfer-Encoding: chunked\r\n\r\n" + fmt.Sprintf("%x\r\n%s\r\n", len(body), body)
}

// A body that ends too early is no whole body, wherever that is. What a load has taken is exactly
// what is before the first line or pair that it names.
func TestABodyThatIsCut(t *testing.T) {
	h := start(t, Config{})
	for _, c := range cutBodies() {
		conn := h.dial(t)
		send(t, conn, c.request)
		if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		c.judge(t, conn, 400, "malformed")
	}
	h.get("/getAll").want(t, 200, "{\"a\":\"1\",\n\"b\":\"2\",\n\"c\":\"3\"}\n")
	eventually(t, "no load runs", func() bool { return len(h.server.loads) == 0 })
}

// The same of a client that pauses for too long.
func TestABodyThatStops(t *testing.T) {
	h := start(t, Config{ReadTimeout: time.Second, MaxLoads: 1000})
	conns := map[net.Conn]cutBody{}
	for i, c := range cutBodies() {
		if i%10 == 0 {
			conn := h.dial(t)
			send(t, conn, c.request)
			conns[conn] = c
		}
	}
	for _, end := range []string{"0\r\n", "0", "1"} { // the last chunk is cut itself
		conn := h.dial(t)
		send(t, conn, "POST /setAll HTTP/1.1\r\nHost: h\r\n"+inChunks(lines(3))+end)
		conns[conn] = cutBody{stored: 3}
	}
	for conn, c := range conns {
		c.judge(t, conn, 408, "request-timeout")
	}
}

// cutBody is a load that is cut, and how many values are whole before that.
type cutBody struct {
	request string
	stored  int
}

// cutBodies are loads that are cut behind each of their bytes, in both formats, in chunks and with
// a length.
func cutBodies() (all []cutBody) {
	for target, pairs := range map[string][]string{
		"/setAll":             {`{"key":"a","value":"1"}` + "\n", `{"key":"b","value":"2"}` + "\n", `{"key":"c","value":"3"}`},
		"/setAll?format=json": {`{"a":"1"`, `,"b":"2"`, `,"c":"3"`, `}`},
	} {
		body, head := strings.Join(pairs, ""), "POST "+target+" HTTP/1.1\r\nHost: h\r\n"
		for n := 1; n < len(body); n++ {
			whole, length := 0, 0
			for whole < len(pairs) && length+len(pairs[whole]) <= n {
				length += len(pairs[whole])
				whole++
			}
			all = append(all, cutBody{head + inChunks(body[:n]), whole},
				cutBody{head + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body[:n]), whole})
		}
	}
	return all
}

func (c *cutBody) judge(t *testing.T, conn net.Conn, status int, slug string) {
	t.Helper()
	raw, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	readProblem(t, string(raw), status, slug)
	if want := fmt.Sprintf(`"stored":%d,"next":%d`, c.stored, c.stored+1); !strings.Contains(string(raw), want) {
		t.Errorf("%q: %q, want %s", c.request, raw, want)
	}
}

// together holds back what is written, so that it arrives at once.
type together struct {
	net.Conn
	on   bool
	held bytes.Buffer
}

func (c *together) Write(b []byte) (int, error) {
	if c.on {
		return c.held.Write(b)
	}
	return c.Conn.Write(b)
}

// A client that ends TLS within a body has not sent it, even where the end arrives together with
// the head. With TLS 1.2 one read returns both.
func TestABodyThatIsCutByTLS(t *testing.T) {
	ca := newAuthority(t)
	h := start(t, Config{TLS: ca.files(t), ReadTimeout: 5 * time.Second})
	const form = "Content-Type: application/x-www-form-urlencoded\r\n"
	for _, request := range []string{
		"POST /setAll HTTP/1.1\r\nHost: h\r\n" + inChunks(lines(3)),
		"POST /setAll HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n" + lines(400),
		"POST /set HTTP/1.1\r\nHost: h\r\n" + form + inChunks("k=a&v=hel"),
		"POST /set HTTP/1.1\r\nHost: h\r\n" + form + "Content-Length: 100\r\n\r\nk=a&v=hel",
		"POST /set HTTP/1.1\r\nHost: h\r\n" + form + "Content-Length: 12000\r\n\r\n" + strings.Repeat("x=y&", 2200) + "k=a&v=hel",
	} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			raw := &together{Conn: h.dial(t)}
			c := tls.Client(raw, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12, MaxVersion: version}) //nolint:gosec // a certificate of this test
			if err := c.Handshake(); err != nil {
				t.Fatal(err)
			}
			raw.on = true
			send(t, c, request)
			if err := c.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			within(t, time.Minute, raw)
			if _, err := raw.Conn.Write(raw.held.Bytes()); err != nil {
				t.Fatal(err)
			}
			got, _ := io.ReadAll(c)
			if !strings.HasPrefix(string(got), "HTTP/1.1 4") && len(got) > 0 {
				t.Errorf("TLS %x, %.200q: %.200q", version, request, got)
			}
		}
	}
	h.overTLS(ca)
	response, err := h.client.Get("https://" + h.addr + "/is?k=a")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != 404 {
		t.Errorf("/is?k=a: %d", response.StatusCode)
	}
}

// A body that is too large is refused at once: the client may be waiting for the answer. So may a
// load begin slowly, whatever its length.
func TestABodyIsNotAwaited(t *testing.T) {
	h := start(t, Config{ReadTimeout: time.Hour, IdleTimeout: time.Hour})
	for _, request := range []string{
		"POST /set?k=a&v=1 HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n",
		"POST /set?k=a&v=1 HTTP/1.0\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n",
		"POST /nothing HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n",
		"GET /get?k=a HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\nx",
	} {
		readProblem(t, h.raw(request), 413, "body-too-large")
	}
	readProblem(t, h.raw("POST /setAll?w=many HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 1000000\r\n\r\n{"), 400, "bad-parameter")
}

// A body that is compressed in an unusual way is read, or the answer says what is wrong.
func TestUnusualCodings(t *testing.T) {
	h := start(t, Config{})
	var zipped, twice, wide bytes.Buffer
	for _, out := range []io.Writer{io.MultiWriter(&zipped, &twice), &twice} { // two members
		w := gzip.NewWriter(out)
		_, _ = io.WriteString(w, lines(2))
		_ = w.Close()
	}
	w, err := zstd.NewWriter(&wide, zstd.WithWindowSize(16<<20), zstd.WithSingleSegment(false))
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(w, lines(1_000_000))
	_ = w.Close()
	h.do("POST", "/setAll", bytes.NewReader(zipped.Bytes()), "Content-Encoding", "x-gzip").want(t, 200, "OK, 2 values are stored\n")
	h.do("POST", "/setAll", bytes.NewReader(twice.Bytes()), "Content-Encoding", "gzip").want(t, 200, "OK, 4 values are stored\n")
	h.do("POST", "/setAll", nil, "Content-Encoding", "gzip").want(t, 200, "OK, 0 values are stored\n")
	h.do("POST", "/setAll", nil, "Content-Encoding", "zstd").want(t, 200, "OK, 0 values are stored\n")
	if p := h.do("POST", "/setAll", &wide, "Content-Encoding", "zstd").problem(t, 400, "malformed"); !strings.Contains(p.Detail, "8 MiB") {
		t.Errorf("%+v", p)
	}
	for i := 1; i < zipped.Len(); i++ {
		if a := h.do("POST", "/setAll", bytes.NewReader(zipped.Bytes()[:i]), "Content-Encoding", "gzip"); a.status != 400 {
			t.Errorf("%d of %d bytes: %d %s", i, zipped.Len(), a.status, a.body)
		}
	}
}
