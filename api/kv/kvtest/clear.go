package kvtest

import (
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"testing"

	"viakv/api/kv"
)

func clearAll(t testing.TB, open Open) {
	s := open(t)
	mustClear(t, s) // a clear of an empty store
	want := numbered(600)
	fill(t, s, want)
	cursor := someCursor(t, s, 100)
	mustClear(t, s)
	for k := range want {
		mustMiss(t, s, k)
		break
	}
	mustEqual(t, collect(t, s, kv.ScanOptions{Options: patient(), Values: true}), nil, true)
	if err := s.Remove(background, []byte("key 00000"), patient()); !errors.Is(err, kv.ErrMissing) {
		t.Fatalf("remove behind a clear: got %v, want ErrMissing", err)
	}
	mustSet(t, s, "key 00001", "new")
	mustRefuse(t, s, cursor, "from before a clear")
	mustGet(t, s, "key 00001", "new")
	mustEqual(t, collect(t, s, kv.ScanOptions{Options: patient(), Values: true}), map[string]string{"key 00001": "new"}, true)
	mustClear(t, s)
	mustMiss(t, s, "key 00001")
}

// clearDuringScan clears the store during a scan. The scan must end, with ErrCleared or as if the
// rest had been removed. What it has read ahead may still come.
func clearDuringScan(t testing.TB, open Open) {
	s := open(t)
	fill(t, s, numbered(scanKeys))
	sc, err := s.Scan(background, kv.ScanOptions{Options: patient(), Values: true})
	if err != nil {
		t.Fatal(err)
	}
	defer sc.Close()
	var b kv.Batch
	if more, err := sc.Next(background, &b); !more || err != nil {
		t.Fatalf("next: %v, %v", more, err)
	}
	mustClear(t, s)
	mustSet(t, s, "zzz new", "new")
	for n := 0; ; n++ {
		more, err := sc.Next(background, &b)
		if errors.Is(err, kv.ErrCleared) || err == nil && !more {
			return
		}
		if err != nil {
			t.Fatalf("next behind a clear: %v", err)
		}
		if n > scanKeys {
			t.Fatal("the scan does not end")
		}
	}
}

// clearUnderLoad clears the store again and again while writers go on. What was acknowledged before
// a clear began must never be read after it returned. Each key has one writer, whose values grow.
func clearUnderLoad(t testing.TB, open Open) {
	const writers, clears = 6, 8
	s := open(t)
	var acknowledged [writers]atomic.Int64
	var stop atomic.Bool
	var g group
	key := func(w int) []byte { return []byte(fmt.Sprintf("writer %d", w)) }
	for w := range writers {
		g.run(func() error {
			for i := int64(1); !stop.Load(); i++ {
				_, err := s.Set(background, key(w), strconv.AppendInt(nil, i, 10), patient())
				if errors.Is(err, kv.ErrUnavailable) {
					continue // the clear came in between: nothing is acknowledged (C4)
				}
				if err != nil {
					return fmt.Errorf("set beside a clear: %w", err)
				}
				acknowledged[w].Store(i)
			}
			return nil
		})
	}
	g.run(func() error {
		defer stop.Store(true)
		for c := range clears {
			// Each writer is let write something first.
			var before [writers]int64
			for w := range writers {
				for from := acknowledged[w].Load(); acknowledged[w].Load() == from && !stop.Load(); {
					if _, err := s.Has(background, key(w), patient()); err != nil && !errors.Is(err, kv.ErrMissing) {
						return err
					}
				}
				before[w] = acknowledged[w].Load()
			}
			if err := s.Clear(background, patient()); err != nil {
				return fmt.Errorf("clear under load: %w", err)
			}
			for w := range writers {
				v, _, err := s.Get(background, nil, key(w), patient())
				if errors.Is(err, kv.ErrMissing) {
					continue
				}
				if err != nil {
					return err
				}
				if n, err := strconv.ParseInt(string(v), 10, 64); err != nil || n <= before[w] {
					return fmt.Errorf("clear %d: key %q still has value %q; %d was acknowledged before it began", c, key(w), v, before[w])
				}
			}
		}
		return nil
	})
	g.wait(t)
	mustClear(t, s)
	mustEqual(t, collect(t, s, kv.ScanOptions{Options: patient()}), nil, false)
}
