package main

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"viakv/api"
	"viakv/api/kv/kvtest"
)

// target runs the real API over a reference store until the test ends, and returns its URL.
func target(t testing.TB) string {
	t.Helper()
	s, err := api.New(api.Config{Store: &kvtest.Reference{}, Name: "node-a", Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return "http://" + l.Addr().String()
}
