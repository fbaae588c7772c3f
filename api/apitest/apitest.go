// Package apitest serves the real API in the tests of its callers.
package apitest

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"

	"viakv/api"
	"viakv/api/kv/kvtest"
)

// Serve runs the API on a loopback port until the test ends, and returns its URL. Without a store
// in the configuration it serves an empty [kvtest.Reference].
func Serve(t testing.TB, config api.Config) string {
	t.Helper()
	if config.Store == nil {
		config.Store = &kvtest.Reference{}
	}
	s, err := api.New(config)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	record, stop := context.WithCancel(context.Background())
	recorded := make(chan struct{})
	go func() {
		s.Record(record)
		close(recorded)
	}()
	t.Cleanup(func() {
		stop()
		<-recorded
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

// VerifyNoLeaks is the TestMain of a package whose tests serve the API. It runs them, and fails if
// a goroutine outlives them. fasthttp keeps two kinds of goroutines for good: the clock behind the
// Date header, and the cleaner of each worker pool. A cleaner sleeps for ten seconds before it
// looks whether its pool has stopped.
func VerifyNoLeaks(m goleak.TestingM) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
	)
}
