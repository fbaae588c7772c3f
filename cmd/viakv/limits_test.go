package main

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"testing"
	"time"
)

// Of more connections than the flag allows, at least one is turned away at once, and says why.
func TestTheLimitOfConnectionsIsAFlag(t *testing.T) {
	const limit = 3
	a, _ := runServer(t, "node-a", "--max-connections-per-ip", fmt.Sprint(limit))
	refused := 0
	for range limit + 1 {
		c, err := net.Dial("tcp", a)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }() // held until all have asked
		if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Fprintf(c, "GET /livez HTTP/1.1\r\nHost: %s\r\n\r\n", a); err != nil {
			t.Fatal(err)
		}
		r, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = r.Body.Close()
		if r.StatusCode == http.StatusServiceUnavailable && r.Header.Get("Retry-After") != "" {
			refused++
		}
	}
	if refused == 0 {
		t.Errorf("%d connections of one address are served, and %d are allowed", limit+1, limit)
	}
}
