package kvtest

import (
	"sync"
	"testing"
	"time"
)

// group runs goroutines that may fail. The first error is reported by wait, in the test's own goroutine: Fatal works nowhere else.
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

// until waits for a condition that the group's goroutines bring about, so that what comes next does overlap with them. It gives up
// when one of them has failed, and fails the test when nothing comes of it.
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

// parallel calls fn for every pair, at most n at a time.
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
