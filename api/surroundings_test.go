package api

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// The connections that are held to be turned away are bounded by how many may be open, and not by
// how many come.
func TestConnectionsTurnedAwayAreFew(t *testing.T) {
	h := start(t, Config{MaxConnections: 8})
	g := h.server.gate
	h.connections(t, 8)
	h.untilOpen(t, 8)
	h.connections(t, 100)
	eventually(t, "all others are turned away", func() bool {
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.turningAway > MaxTurnedAway(8) || len(g.open) > 8 {
			t.Errorf("%d connections are open and %d are held to be turned away", len(g.open), g.turningAway)
		}
		return g.rejected == 100
	})
	for connections, want := range map[int]int{1: 1, 8: 2, 64: 9, 10_000: 256} {
		if got := MaxTurnedAway(connections); got != want {
			t.Errorf("%d beside %d, want %d", got, connections, want)
		}
	}
}

// A node that is full stays ready, unless it is full for want of descriptors.
func TestANodeThatIsFull(t *testing.T) {
	for _, boundBy := range []string{"", "the limit of open files"} {
		t.Run(boundBy, func(t *testing.T) {
			h := start(t, Config{MaxConnections: 4, ConnectionsBoundBy: boundBy})
			kept := h.connections(t, 1)[0] // stands for a balancer's connection
			answers := bufio.NewReader(kept)
			probe := func() (int, string) {
				send(t, kept, "GET /readyz HTTP/1.1\r\nHost: h\r\n\r\n")
				response, err := http.ReadResponse(answers, nil)
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(response.Body)
				if err != nil {
					t.Fatal(err)
				}
				return response.StatusCode, string(body)
			}
			// All connections are in use, but none has been turned away yet.
			others := h.connections(t, 3)
			h.untilOpen(t, 4)
			time.Sleep(fullTime)
			if status, body := probe(); status != 200 {
				t.Errorf("not ready although none has been turned away: %s", body)
			}
			readProblem(t, h.raw("GET /get?k=a HTTP/1.1\r\nHost: h\r\n\r\n"), 503, "overloaded")
			if boundBy == "" {
				time.Sleep(fullTime)
				if status, body := probe(); status != 200 {
					t.Errorf("not ready because the operator's limit was reached: %s", body)
				}
				return
			}
			var detail string
			eventually(t, "the node is not ready", func() bool {
				var status int
				status, detail = probe()
				return status == 503
			})
			if !strings.Contains(detail, "all of the 4 connections that the limit of open files leaves room for are in use") {
				t.Errorf("%s", detail)
			}
			others[0].Close()
			eventually(t, "the node is ready again", func() bool { status, _ := probe(); return status == 200 })
		})
	}
}

// A reason from Impaired makes the node not ready.
func TestANodeThatIsImpaired(t *testing.T) {
	var deaf atomic.Bool
	h := start(t, Config{Impaired: func() error {
		if deaf.Load() {
			return errors.New("deaf to its peers")
		}
		return nil
	}})
	h.get("/readyz").want(t, 200, "OK\n")
	deaf.Store(true)
	if p := h.get("/readyz").problem(t, 503, "unavailable"); p.Detail != "deaf to its peers" {
		t.Errorf("%+v", p)
	}
	h.get("/livez").want(t, 200, "OK\n")
}

// explosive is a connection that panics outside of all handlers.
type explosive struct{ net.Conn }

func (explosive) Read([]byte) (int, error) { panic("a fault") }

type explosives struct{ net.Listener }

func (l explosives) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return explosive{c}, nil
}

func TestAPanicOutsideOfHandlersEndsItsConnectionAlone(t *testing.T) {
	h := start(t, Config{})
	l := listener(t)
	end := h.serveAlso(t, h.server.Serve, explosives{l})
	c := dial(t, l.Addr().String())
	within(t, 10*time.Second, c)
	if n, err := c.Read(make([]byte, 1)); n > 0 || err != io.EOF {
		t.Errorf("%d bytes, %v", n, err)
	}
	eventually(t, "the panic to be counted, and its connection to be gone", func() bool {
		body := h.get("/metrics").body
		return strings.Contains(body, "viakv_http_panics_total 1\n") && strings.Contains(body, "viakv_http_connections 1\n")
	})
	end()
}

// Pages of metrics are made a few at a time, however many are asked for. Requests at the public
// port do not use up the places of the admin port.
func TestPagesOfMetricsAreMadeAFewAtATime(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	registry := prometheus.NewRegistry()
	registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "slow"}, func() float64 {
		entered <- struct{}{}
		<-release
		return 1
	}))
	h := start(t, Config{Registry: registry})
	done := make(chan answer, maxPages)
	for range maxPages {
		go func() { done <- h.get("/metrics") }()
		<-entered
	}
	h.get("/metrics").problem(t, 503, "overloaded")
	h.get("/set?k=a&v=1").want(t, 200, "OK\n")
	admin := make(chan error, 1)
	go func() {
		response, err := http.Get("http://" + h.admin(t) + "/metrics")
		if err == nil && response.StatusCode != 200 {
			err = errors.New(response.Status)
		}
		if err == nil {
			err = response.Body.Close()
		}
		admin <- err
	}()
	select {
	case <-entered:
	case err := <-admin:
		t.Errorf("the admin port: %v", err)
	}
	close(release)
	if err := <-admin; err != nil {
		t.Error(err)
	}
	for range maxPages {
		if a := <-done; a.status != 200 || !strings.Contains(a.body, "\nslow 1\n") {
			t.Errorf("%d %.100s", a.status, a.body)
		}
	}
}
