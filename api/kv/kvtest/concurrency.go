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

// overlappingRemoves runs many removes of one value at once. At most one may succeed, and exactly
// one must when no outcome was left unknown.
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

// removesAndSets runs removes beside sets. No more removes may succeed than there were sets.
func removesAndSets(t testing.TB, open Open) {
	s := open(t)
	removing(t, s, func(value string) error {
		_, err := s.Set(background, []byte("k"), []byte(value), patient())
		return err
	})
}

// removing runs removes of the key "k" beside sets of it.
func removing(t testing.TB, s kv.Store, set func(value string) error) {
	t.Helper()
	const sets, removers = 200, 4
	var removed, tried atomic.Int32
	// stop says that the sets are over. Removes go on until there were more of them than values.
	var stop atomic.Bool
	var g group
	g.run(func() error {
		defer stop.Store(true)
		for i := range sets {
			if err := set(strconv.Itoa(i)); err != nil {
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

// readsGrow has one writer that counts upward, and readers. A read must show at least what was
// acknowledged before it began and at most what was begun before it ended. No reader may see the
// count fall. For one writer, that is linearizability.
func readsGrow(t testing.TB, open Open) {
	s := open(t)
	growing(t, s, []string{"k"}, func(value string) error {
		_, err := s.Set(background, []byte("k"), []byte(value), patient())
		return err
	})
}

// growing has one writer, whose writes set all of the keys, and readers of each key.
func growing(t testing.TB, s kv.Store, keys []string, set func(value string) error) {
	t.Helper()
	// These are the least counts: the writer goes on until the readers have done their part beside
	// it.
	const writes, readers, reads = 300, 4, 200
	for _, k := range keys {
		mustSet(t, s, k, "0")
	}
	var begun, acknowledged, done atomic.Int64
	var stop atomic.Bool
	var g group
	g.run(func() error {
		defer stop.Store(true)
		for i := int64(1); i <= writes || done.Load() < reads && !stop.Load(); i++ {
			begun.Store(i)
			if err := set(strconv.FormatInt(i, 10)); err != nil {
				return err
			}
			acknowledged.Store(i)
		}
		return nil
	})
	for r := range readers {
		g.run(func() error {
			key := []byte(keys[r%len(keys)])
			// When the reader fails, the writer must not wait for it.
			defer stop.Store(true)
			var last int64
			for !stop.Load() {
				least := max(last, acknowledged.Load())
				v, _, err := s.Get(background, nil, key, patient())
				if err != nil {
					return err
				}
				n, err := strconv.ParseInt(string(v), 10, 64)
				if most := begun.Load(); err != nil || n < least || n > most {
					return fmt.Errorf("read %q, want %d to %d", v, least, most)
				}
				last = n
				if least > 0 {
					done.Add(1) // the read could have been stale
				}
			}
			return nil
		})
	}
	g.wait(t)
	for _, k := range keys {
		mustGet(t, s, k, strconv.FormatInt(acknowledged.Load(), 10))
	}
}
