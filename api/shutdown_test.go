package api

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"viakv/api/kv"
	"viakv/api/kv/kvtest"
)

// From the first moment of a drain every answer ends its connection, whatever it says. So clients
// that keep a connection go elsewhere before any is cut.
func TestEveryAnswerOfADrainEndsItsConnection(t *testing.T) {
	h := start(t, Config{})
	h.get("/set?k=a&v=1").want(t, 200, "OK\n")
	admin := h.admin(t)
	type kept struct {
		net.Conn
		r *bufio.Reader
	}
	keep := func(address string) kept {
		c := dial(t, address)
		return kept{c, bufio.NewReader(c)}
	}
	ask := func(on kept, request string) *http.Response {
		send(t, on, request)
		method, _, _ := strings.Cut(request, " ")
		response, err := http.ReadResponse(on.r, &http.Request{Method: method})
		if err != nil {
			t.Fatalf("%q: %v", request, err)
		}
		if _, err := io.Copy(io.Discard, response.Body); err != nil {
			t.Errorf("%q: %v", request, err)
		}
		return response
	}
	// The requests, with the status that each gets even during a drain.
	requests := map[string]int{
		"GET /get?k=a HTTP/1.1\r\nHost: h\r\n\r\n":                               200,
		"HEAD /get?k=a HTTP/1.1\r\nHost: h\r\n\r\n":                              200,
		"GET /set?k=b&v=2 HTTP/1.1\r\nHost: h\r\n\r\n":                           200,
		"GET /get?k=missing HTTP/1.1\r\nHost: h\r\n\r\n":                         404,
		"GET /nothing HTTP/1.1\r\nHost: h\r\n\r\n":                               404,
		"DELETE /get HTTP/1.1\r\nHost: h\r\n\r\n":                                405,
		"GET /get HTTP/1.1\r\nHost: h\r\n\r\n":                                   400,
		"GET /getAll HTTP/1.1\r\nHost: h\r\n\r\n":                                200,
		"GET /getAll?limit=1 HTTP/1.1\r\nHost: h\r\n\r\n":                        200,
		"GET /readyz HTTP/1.1\r\nHost: h\r\n\r\n":                                503,
		"GET /livez HTTP/1.1\r\nHost: h\r\n\r\n":                                 200,
		"GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n":                               200,
		"GET /get?k=a HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n":     200,
		"GET /get?k=a HTTP/1.1\r\nHost: h\r\nConnection: keep-alive\r\n\r\n":     200,
		"GET /set?k=c HTTP/1.1\r\nHost: h\r\nSec-Fetch-Site: cross-site\r\n\r\n": 403,
	}
	// Each request gets a connection that was kept alive before the drain.
	before := map[string]kept{}
	for request := range requests {
		before[request] = keep(h.addr)
		if response := ask(before[request], "GET /livez HTTP/1.1\r\nHost: h\r\n\r\n"); response.Close {
			t.Fatal("a connection is ended before the drain")
		}
	}
	h.server.Drain()
	for request, status := range requests {
		on := before[request]
		response := ask(on, request)
		if response.StatusCode != status || !response.Close {
			t.Errorf("%q: status %d, want %d; ends its connection: %v", request, response.StatusCode, status, response.Close)
		}
		if n, err := on.r.Read(make([]byte, 1)); n > 0 || err != io.EOF {
			t.Errorf("%q: the connection is not closed: %d bytes, %v", request, n, err)
		}
	}
	for request, status := range map[string]int{"/readyz": 503, "/livez": 200, "/metrics": 200, "/debug/pprof/": 200} {
		if response := ask(keep(admin), "GET "+request+" HTTP/1.1\r\nHost: h\r\n\r\n"); response.StatusCode != status || !response.Close {
			t.Errorf("admin %s: status %d, want %d; ends its connection: %v", request, response.StatusCode, status, response.Close)
		}
	}
}

// setter is a client that sets its own keys on one connection, in batches of a fixed depth.
type setter struct {
	name     string
	acked    int // how many sets were answered
	sent     int
	wrong    []string
	finished chan struct{}
}

func (s *setter) key(i int) string { return fmt.Sprintf("%s-%d", s.name, i) }

func (s *setter) run(address string, depth int) {
	defer close(s.finished)
	c, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	r := bufio.NewReader(c)
	for {
		var batch strings.Builder
		for range depth {
			fmt.Fprintf(&batch, "GET /set?k=%s&v=1 HTTP/1.1\r\nHost: h\r\n\r\n", s.key(s.sent))
			s.sent++
		}
		// A key that could not be sent is looked up all the same.
		_, _ = io.WriteString(c, batch.String())
		for range depth {
			response, err := http.ReadResponse(r, nil)
			if err != nil {
				return
			}
			if _, err := io.Copy(io.Discard, response.Body); err != nil {
				s.wrong = append(s.wrong, fmt.Sprintf("%s: cut: %v", s.key(s.acked), err))
			}
			if response.StatusCode == 503 && response.Header.Get("X-Viakv-Retriable") == "true" {
				// The request came in the moment of the shutdown, and the answer says that nothing
				// was done.
				return
			}
			if response.StatusCode != 200 {
				s.wrong = append(s.wrong, fmt.Sprintf("%s: status %d", s.key(s.acked), response.StatusCode))
			}
			s.acked++
			if response.Close {
				return // RFC 9112, 9.6: what was sent after this request is not carried out
			}
		}
	}
}

// A shutdown carries out nothing that it does not answer: neither a request that comes in the same
// moment, nor one of several that were sent at once.
func TestAShutdownDoesNothingWithoutAnAnswer(t *testing.T) {
	for _, depth := range []int{1, 16} {
		for _, drained := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d at a time, drained %v", depth, drained), func(t *testing.T) {
				cut := 0
				for round := range 60 {
					store := &kvtest.Reference{}
					h := start(t, Config{Store: store})
					h.get("/livez").want(t, 200, "OK\n") // Serve is running
					var clients []*setter
					var running sync.WaitGroup
					for i := range 8 {
						s := &setter{name: fmt.Sprintf("r%d-c%d", round, i), finished: make(chan struct{})}
						clients = append(clients, s)
						running.Go(func() { s.run(h.addr, depth) })
					}
					time.Sleep(time.Duration(2+round%7) * time.Millisecond)
					if drained {
						h.server.Drain()
					}
					if err := h.server.Shutdown(t.Context()); err != nil {
						t.Fatal(err)
					}
					running.Wait()
					for _, s := range clients {
						for i := range s.sent {
							_, err := store.Has(context.Background(), []byte(s.key(i)), kv.Options{})
							if done := err == nil; done != (i < s.acked) {
								t.Errorf("%s of %d: done %v, answered %v", s.key(i), s.sent, done, i < s.acked)
							}
						}
						for _, w := range s.wrong {
							t.Error(w)
						}
						cut += s.sent - s.acked
					}
				}
				t.Logf("%d requests had no answer, and none of them was done", cut)
			})
		}
	}
}

// A request that has begun to arrive is read to its end and answered. A connection between two
// requests is closed at once.
func TestAShutdownWaitsForARequestThatHasBegun(t *testing.T) {
	store := &kvtest.Reference{}
	h := start(t, Config{Store: store})
	fresh, idle, halfway := h.dial(t), h.dial(t), h.dial(t)
	send(t, idle, "GET /livez HTTP/1.1\r\nHost: h\r\n\r\n")
	answered := bufio.NewReader(idle)
	if response, err := http.ReadResponse(answered, nil); err != nil || response.StatusCode != 200 {
		t.Fatal(response, err)
	}
	if _, err := answered.Discard(len("OK\n")); err != nil {
		t.Fatal(err)
	}
	send(t, halfway, "GET /set?k=a&v=1 HTTP/1.1\r\nHos")
	h.untilOpen(t, 3)
	time.Sleep(50 * time.Millisecond) // time in which the first bytes are read
	done := make(chan error, 1)
	go func() { done <- h.server.Shutdown(t.Context()) }()
	for name, r := range map[string]io.Reader{"fresh": fresh, "idle": answered} {
		if n, err := r.Read(make([]byte, 1)); n > 0 || err != io.EOF {
			t.Errorf("%s: %d bytes, %v", name, n, err)
		}
	}
	send(t, halfway, "t: h\r\n\r\n")
	// The request that had begun is answered, and was carried out.
	response, err := http.ReadResponse(bufio.NewReader(halfway), nil)
	if err != nil || response.StatusCode != 200 || !response.Close {
		t.Errorf("the request that had begun: %+v, %v", response, err)
	}
	halfway.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, err := store.Has(t.Context(), []byte("a"), kv.Options{}); err != nil {
		t.Error(err)
	}
}

// The same holds over TLS, where a record is not yet a request.
func TestAShutdownOverTLS(t *testing.T) {
	ca := newAuthority(t)
	h := start(t, Config{TLS: ca.files(t)})
	h.connections(t, 1)
	roots := x509.NewCertPool()
	roots.AddCert(ca.certificate)
	client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	defer client.CloseIdleConnections()
	response, err := client.Get("https://" + h.addr + "/livez")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, response.Body)
	response.Body.Close()
	h.untilOpen(t, 2)
	began := time.Now()
	if err := h.server.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > 8*time.Second {
		t.Errorf("two idle connections held the shutdown up for %v", took)
	}
}

// A connection that is accepted in the moment of a shutdown is told so. It is not told that there
// are too many.
func TestAConnectionInTheMomentOfAShutdown(t *testing.T) {
	l := listener(t)
	defer l.Close()
	client := dial(t, l.Addr().String())
	accepted, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	g := newGate(1, 0, 0, "", zap.NewNop())
	if err := g.close(); err != nil {
		t.Fatal(err)
	}
	late := &conn{Conn: accepted, gate: g}
	answer := g.enter(late)
	if answer == nil {
		t.Fatal("it was let in")
	}
	late.turnAway(answer)
	response, err := http.ReadResponse(bufio.NewReader(client), nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != 503 || response.Header.Get("X-Viakv-Retriable") != "true" || !strings.Contains(string(body), "shutting down") {
		t.Errorf("%d %s, %v", response.StatusCode, body, err)
	}
	client.Close()
	if err := g.wait(t.Context()); err != nil {
		t.Error(err)
	}
}

// A shutdown does not wait for a client because of one stray byte. Line breaks between requests are
// allowed, and some clients leave one behind.
func TestAShutdownWaitsForNoRequestThatDoesNotCome(t *testing.T) {
	h := start(t, Config{ReadTimeout: time.Hour})
	c := h.dial(t)
	send(t, c, "GET /livez HTTP/1.1\r\nHost: h\r\n\r\n\r\n")
	response, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil || response.StatusCode != 200 {
		t.Fatal(response, err)
	}
	time.Sleep(50 * time.Millisecond) // time in which the line break is read
	if err := h.shutdown(10 * lastTime); err != nil {
		t.Error(err)
	}
}
