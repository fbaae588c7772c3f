package kvtest

import (
	"sync"
	"testing"
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
