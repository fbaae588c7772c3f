package client_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"testing"
	"time"

	"viakv/api"
	"viakv/api/client"
	"viakv/api/kv"
)

func problemAnswer(status int, slug, outcome, header string) string {
	body := fmt.Sprintf(`{"type":"urn:viakv:problem:%s","title":"T","status":%d,"detail":"D","outcome":"%s"}`, slug, status, outcome)
	return fmt.Sprintf("HTTP/1.1 %d X\r\nContent-Type: application/problem+json\r\nContent-Length: %d\r\n%s\r\n%s", status, len(body), header, body)
}

var retriable = problemAnswer(503, "overloaded", "none", "X-Viakv-Retriable: true\r\nRetry-After: 2\r\n")

// TestWhatGoesToASecondEndpoint is invariant F1.
func TestWhatGoesToASecondEndpoint(t *testing.T) {
	hangUp := func(*http.Request, net.Conn) bool { return false }
	for name, c := range map[string]struct {
		first           func(*http.Request, net.Conn) bool // nil: nothing listens
		mutation, reads bool                               // whether it goes to the second endpoint
		outcome         kv.Outcome
		status          int
	}{
		"no connection":    {nil, true, true, kv.None, 0},
		"retriable 503":    {reply(retriable), true, true, kv.None, 503},
		"unknown 503":      {reply(problemAnswer(503, "unavailable", "unknown", "")), false, true, kv.Unknown, 503},
		"hang-up":          {hangUp, false, true, kv.Unknown, 0},
		"a proxy's 502":    {reply("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"), false, true, kv.Unknown, 502},
		"a proxy's 404":    {reply("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"), false, false, kv.None, 404},
		"memory limit":     {reply(problemAnswer(507, "memory-limit", "none", "")), false, true, kv.None, 507},
		"refused argument": {reply(problemAnswer(400, "bad-parameter", "none", "")), false, false, kv.None, 400},
	} {
		t.Run(name, func(t *testing.T) {
			second := script(t, reply(ok[:len(ok)-5]+`"abc"`))
			first := nowhere(t)
			if c.first != nil {
				first = script(t, c.first).addr
			}
			for _, mutates := range []bool{true, false} {
				cl := connectTo(t, first, second.addr)
				before := second.requests.Load()
				var err error
				if mutates {
					err = cl.Remove(t.Context(), "k")
				} else {
					_, err = cl.Get(t.Context(), "k")
				}
				on := c.reads
				if mutates {
					on = c.mutation
				}
				if got := second.requests.Load() > before; got != on {
					t.Fatalf("mutates %v: asked the second: %v, want %v (%v)", mutates, got, on, err)
				}
				if !on {
					outcome := c.outcome
					if !mutates {
						outcome = kv.None
					}
					want(t, err, c.status, outcome, nil)
				} else if err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func TestTheEndpointThatWorkedIsPreferred(t *testing.T) {
	down := nowhere(t)
	up := script(t, reply(ok))
	c := connectTo(t, down, up.addr)
	for range 3 {
		if _, err := c.Get(t.Context(), "k"); err != nil {
			t.Fatal(err)
		}
	}
	// Ready asks one endpoint only: the one that worked.
	if err := c.Ready(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestAllEndpointsFail(t *testing.T) {
	c := connectTo(t, nowhere(t), nowhere(t))
	_, err := c.Set(t.Context(), "k", "v")
	if e := want(t, err, 0, kv.None, client.ErrUnavailable); !e.Retriable {
		t.Errorf("got %+v", e)
	}
	busy := script(t, reply(retriable))
	c = connectTo(t, busy.addr)
	_, err = c.Set(t.Context(), "k", "v")
	if e := want(t, err, 503, kv.None, client.ErrUnavailable); e.RetryAfter != 2*time.Second || !e.Retriable {
		t.Errorf("got %+v", e)
	}
	if busy.requests.Load() != 1 {
		t.Error("the only endpoint was asked again")
	}
}

// TestAKeptConnectionThatTheServerClosed: a read succeeds on a new connection, and a mutation does
// not end with an unknown outcome.
func TestAKeptConnectionThatTheServerClosed(t *testing.T) {
	closed := make(chan struct{}, 16)
	s := script(t, func(_ *http.Request, c net.Conn) bool {
		write(c, ok)
		c.Close()
		closed <- struct{}{}
		return false
	})
	c := connectTo(t, s.addr)
	for range 4 {
		if _, err := c.Get(t.Context(), "k"); err != nil {
			t.Fatal(err)
		}
		<-closed
		if err := c.Remove(t.Context(), "k"); err != nil {
			t.Fatal(err)
		}
		<-closed
	}
}

func TestCallsEndWithTheirContext(t *testing.T) {
	asked := make(chan struct{}, 4)
	silent := script(t, func(*http.Request, net.Conn) bool {
		asked <- struct{}{}
		return true
	})
	c := connectTo(t, silent.addr)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-asked
		cancel()
	}()
	_, err := c.Set(ctx, "k", "v")
	want(t, err, 0, kv.Unknown, context.Canceled)
	c = connect(t, client.Config{Endpoints: []string{silent.addr, silent.addr}, Timeout: 20 * time.Millisecond})
	_, err = c.Get(t.Context(), "k")
	want(t, err, 0, kv.None, context.DeadlineExceeded)
	if n := silent.requests.Load(); n != 2 {
		t.Errorf("%d requests: a call whose time is over must not go to the next endpoint", n)
	}
}

func TestNotViakv(t *testing.T) {
	s := script(t, reply("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>"))
	c := connectTo(t, s.addr)
	if _, err := c.Version(t.Context()); !errors.Is(err, client.ErrNotViakv) {
		t.Errorf("got %v", err)
	}
	for _, err := range c.Keys(t.Context(), client.ScanOptions{}) {
		if !errors.Is(err, client.ErrCut) {
			t.Errorf("got %v", err)
		}
	}
	s = script(t, reply("HTTP/1.1 404 Not Found\r\nContent-Length: 6\r\n\r\n<html>"))
	if _, err := connectTo(t, s.addr).Version(t.Context()); !errors.Is(err, client.ErrNotViakv) {
		t.Errorf("got %v", err)
	}
}

func TestConnectionsAreKept(t *testing.T) {
	addr := serve(t, api.Config{MaxConnections: 1})
	c := connectTo(t, addr)
	for range 10 {
		if _, err := c.Set(t.Context(), "k", "v"); err != nil { // a second connection would be turned away
			t.Fatal(err)
		}
		for _, err := range c.All(t.Context(), client.ScanOptions{}) {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}
