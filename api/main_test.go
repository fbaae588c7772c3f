package api

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain checks that no goroutine outlives its server. fasthttp keeps two kinds of goroutines for
// good: the clock behind the Date header, and the cleaner of each worker pool. A cleaner sleeps for
// ten seconds before it looks whether its pool has stopped.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
	)
}
