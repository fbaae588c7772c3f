package kvtest

import (
	"sync"
	"testing"
	"time"
)

// group runs goroutines that may fail. wait reports the first error in the test's own goroutine:
// Fatal works in no other.
type group struct {
	wg    sync.WaitGroup
	mu    sync.Mutex
	first error
}

func (g *group) run(fn func() error) {
	g.wg.Go(func() {
		if err := fn(); err != nil {
			g.mu.Lock()
			defer g.mu.Unlock()
			if g.first == nil {
				g.first = err
			}
		}
	})
}

func (g *group) wait(t testing.TB) {
	t.Helper()
	g.wg.Wait()
	if g.first != nil {
		t.Fatal(g.first)
	}
}

// until waits for a condition that the group's goroutines bring about, so that what comes next
// overlaps with them. It fails the test when one of them has failed, or when the condition does not
// hold within patience.
func (g *group) until(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !holds(); time.Sleep(50 * time.Microsecond) { // between polls
		g.mu.Lock()
		failed := g.first
		g.mu.Unlock()
		if failed != nil {
			t.Fatal(failed)
		}
		if time.Now().After(end) {
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}

// parallel calls fn for every pair, in n goroutines.
func parallel(t testing.TB, n int, pairs map[string]string, fn func(k, v string) error) {
	t.Helper()
	type pair struct{ k, v string }
	todo := make(chan pair, len(pairs))
	for k, v := range pairs {
		todo <- pair{k, v}
	}
	close(todo)
	var g group
	for range n {
		g.run(func() error {
			for p := range todo {
				if err := fn(p.k, p.v); err != nil {
					return err
				}
			}
			return nil
		})
	}
	g.wait(t)
}
