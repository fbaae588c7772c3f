package service_test

import (
	"context"
	"net/http/httptest"
	"testing"
	"time"

	"viakv/api"
	"viakv/api/apitest"
	"viakv/bench/service"
)

func TestMain(m *testing.M) { apitest.VerifyNoLeaks(m) }

// target runs the real API over a reference store until the test ends, and returns its URL.
func target(t testing.TB) string {
	t.Helper()
	return apitest.Serve(t, api.Config{Name: "node-a", Version: "test"})
}

// start runs a service with this configuration until the test ends, and returns its URL.
func start(t testing.TB, c service.Config) string {
	t.Helper()
	if c.Dir == "" {
		c.Dir = t.TempDir()
	}
	s, err := service.New(c)
	if err != nil {
		t.Fatal(err)
	}
	h, err := s.Handler()
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		s.Run(ctx)
		close(ended)
	}()
	server := httptest.NewServer(h)
	t.Cleanup(func() {
		stop()
		<-ended
		server.CloseClientConnections()
		server.Close()
	})
	return server.URL
}

// eventually polls until the condition holds.
func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !condition(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 30 s: %s", what)
		}
	}
}
