package kvtest

import (
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"viakv/api/kv"
)

// overlappingRemoves: of many removes of one value at most one succeeds, and exactly one when none was left open.
func overlappingRemoves(t testing.TB, open Open) {
	const rounds, removers = 60, 8
	s := open(t)
	for round := range rounds {
		key := fmt.Sprintf("round %d", round)
		mustSet(t, s, key, "v")
		var succeeded, unknown atomic.Int32
		var start sync.WaitGroup
		start.Add(1)
		var g group
		for range removers {
			g.run(func() error {
				start.Wait()
				switch err := s.Remove(background, []byte(key), patient()); {
				case err == nil:
					succeeded.Add(1)
				case errors.Is(err, kv.ErrMissing):
				case errors.Is(err, kv.ErrUnavailable):
					unknown.Add(1)
				default:
					return err
				}
				return nil
			})
		}
		start.Done()
		g.wait(t)
		if n := succeeded.Load(); n > 1 || n == 0 && unknown.Load() == 0 {
			t.Fatalf("round %d: %d of %d overlapping removes succeeded, %d were left open", round, n, removers, unknown.Load())
		}
		if unknown.Load() == 0 {
			mustMiss(t, s, key)
		}
	}
}

// removesAndSets: each success of a remove needs a set of its own.
func removesAndSets(t testing.TB, open Open) {
	const sets, removers = 200, 4
	s := open(t)
	var removed, tried atomic.Int32
	var stop atomic.Bool // the sets are over; removes go on until there were more of them than values
	var g group
	g.run(func() error {
		defer stop.Store(true)
		for i := range sets {
			if _, err := s.Set(background, []byte("k"), strconv.AppendInt(nil, int64(i), 10), patient()); err != nil {
				return err
			}
		}
		return nil
	})
	for range removers {
		g.run(func() error {
			for ; !stop.Load() || tried.Load() <= 2*sets; tried.Add(1) {
				switch err := s.Remove(background, []byte("k"), patient()); {
				case err == nil:
					removed.Add(1)
				case errors.Is(err, kv.ErrMissing), errors.Is(err, kv.ErrUnavailable):
				default:
					return err
				}
			}
			return nil
		})
	}
	g.wait(t)
	switch err := s.Remove(background, []byte("k"), patient()); {
	case err == nil:
		removed.Add(1)
	case !errors.Is(err, kv.ErrMissing) && !errors.Is(err, kv.ErrUnavailable):
		t.Fatal(err)
	}
	if n := removed.Load(); n > sets {
		t.Fatalf("%d removes succeeded of %d values", n, sets)
	}
}

// readsGrow: one writer counts upward. A read shows at least what was acknowledged before it began, at most what was
// begun before it ended, and one reader never sees the count fall: for one writer, that is linearizability.
func readsGrow(t testing.TB, open Open) {
	const writes, readers, reads = 300, 4, 200 // at least, and until each has done its part beside the others
	s := open(t)
	mustSet(t, s, "k", "0")
	var begun, acknowledged, done atomic.Int64
	var stop atomic.Bool
	var g group
	g.run(func() error {
		defer stop.Store(true)
		for i := int64(1); i <= writes || done.Load() < reads && !stop.Load(); i++ {
			begun.Store(i)
			if _, err := s.Set(background, []byte("k"), strconv.AppendInt(nil, i, 10), patient()); err != nil {
				return err
			}
			acknowledged.Store(i)
		}
		return nil
	})
	for range readers {
		g.run(func() error {
			defer stop.Store(true) // when it fails: the writer must not wait for it
			var last int64
			for !stop.Load() {
				least := max(last, acknowledged.Load())
				v, _, err := s.Get(background, nil, []byte("k"), patient())
				if err != nil {
					return err
				}
				n, err := strconv.ParseInt(string(v), 10, 64)
				if most := begun.Load(); err != nil || n < least || n > most {
					return fmt.Errorf("read %q, want %d to %d", v, least, most)
				}
				last = n
				if least > 0 {
					done.Add(1) // a read that could have been stale
				}
			}
			return nil
		})
	}
	g.wait(t)
	mustGet(t, s, "k", strconv.FormatInt(acknowledged.Load(), 10))
}
