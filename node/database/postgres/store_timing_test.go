//go:build postgres

package postgres

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"viakv/api/kv"
)

// The benchmarks stand beside the raw driver doing the same statement on the same pool: compare store with raw.

const benchKeys = 100_000

// benchStore returns a store with benchKeys rows.
func benchStore(b *testing.B) *Store {
	b.Helper()
	s, err := Open(bg, Config{URL: server.URL(server.Database(b)), Name: "bench", MaxConnections: 64})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(s.Close)
	fillRows(b, s, benchKeys)
	if _, err := s.pool.Exec(bg, `VACUUM ANALYZE viakv_items`); err != nil {
		b.Fatal(err)
	}
	return s
}

func benchKey(n int) []byte { return fmt.Appendf(nil, "key %09d", 1+n) }

// clients runs fn so many times over n goroutines and returns how long that took.
func clients(b *testing.B, n, times int, fn func(key []byte) error) time.Duration {
	b.Helper()
	var left atomic.Int64
	left.Store(int64(times))
	var wg sync.WaitGroup
	began := time.Now()
	for range n {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				if err := fn(benchKey(rand.IntN(benchKeys))); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	return time.Since(began)
}

// paired measures raw and store in turns, a slice of each per iteration, and compares the medians: what else the machine does
// in between hits some slices of both.
func paired(b *testing.B, n int, raw, store func(key []byte) error) {
	const slice = 100
	compare(b, slice, "op/s",
		func() time.Duration { return clients(b, n, slice, raw) },
		func() time.Duration { return clients(b, n, slice, store) })
}

// compare runs both in turns and reports the medians of what they took for so many things each.
func compare(b *testing.B, things int, unit string, raw, store func() time.Duration) {
	var took [2][]time.Duration
	for i := 0; b.Loop(); i++ {
		fns := [2]func() time.Duration{raw, store}
		for j := range fns {
			which := (i + j) % 2 // each comes first as often
			took[which] = append(took[which], fns[which]())
		}
	}
	var median [2]float64
	for i := range took {
		slices.Sort(took[i])
		median[i] = took[i][len(took[i])/2].Seconds()
	}
	b.ReportMetric(float64(things)/median[0], "raw-"+unit)
	b.ReportMetric(float64(things)/median[1], "store-"+unit)
	b.ReportMetric(median[0]/median[1], "store/raw")
}

func BenchmarkSingle(b *testing.B) {
	s := benchStore(b)
	value := []byte("a value of some forty characters, no less")
	for _, n := range []int{1, 64} {
		b.Run(fmt.Sprintf("get/clients=%d", n), func(b *testing.B) {
			paired(b, n, func(key []byte) error {
				var v []byte
				return s.pool.QueryRow(bg, getStatement, key).Scan(&v)
			}, func(key []byte) error {
				_, _, err := s.Get(bg, nil, key, kv.Options{})
				return err
			})
		})
		b.Run(fmt.Sprintf("set/clients=%d", n), func(b *testing.B) {
			paired(b, n, func(key []byte) error {
				_, err := s.pool.Exec(bg, setStatement, key, value)
				return err
			}, func(key []byte) error {
				_, err := s.Set(bg, key, value, kv.Options{})
				return err
			})
		})
	}
}

// BenchmarkScan walks over a million rows by keyset pages, keys and values.
func BenchmarkScan(b *testing.B) {
	const rows = 1_000_000
	s := benchStore(b)
	fillMore(b, s, benchKeys+1, rows)
	compare(b, rows, "row/s",
		func() time.Duration { return scanRaw(b, s, rows) },
		func() time.Duration { return scanStore(b, s, rows) })
}

func scanRaw(b *testing.B, s *Store, want int) time.Duration {
	b.Helper()
	began := time.Now()
	n, from := 0, []byte{}
	for page := fullPage; page == fullPage; {
		page = 0
		r, err := s.pool.Query(bg, `SELECT key, value FROM viakv_items WHERE generation = 1 AND key > $1 ORDER BY key LIMIT $2`, from, fullPage)
		if err != nil {
			b.Fatal(err)
		}
		var k, v []byte
		for r.Next() {
			if err := r.Scan(&k, &v); err != nil {
				b.Fatal(err)
			}
			page++
		}
		r.Close()
		if r.Err() != nil {
			b.Fatal(r.Err())
		}
		n += page
		from = k
	}
	if n != want {
		b.Fatalf("%d rows", n)
	}
	return time.Since(began)
}

func scanStore(b *testing.B, s *Store, want int) time.Duration {
	b.Helper()
	began := time.Now()
	sc, err := s.Scan(bg, kv.ScanOptions{Values: true})
	if err != nil {
		b.Fatal(err)
	}
	defer sc.Close()
	n := 0
	for batch := new(kv.Batch); ; {
		more, err := sc.Next(bg, batch)
		if err != nil {
			b.Fatal(err)
		}
		if !more {
			break
		}
		n += len(batch.Pairs)
	}
	if n != want {
		b.Fatalf("%d rows", n)
	}
	return time.Since(began)
}
