package kvtest

import (
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"viakv/api/kv"
)

// Compare measures a raw driver and the store over it in turns. It reports how many things a second
// each handles, from the median of its turns. Turns alternate, so that other load on the machine
// hits some turns of both.
func Compare(b *testing.B, things int, unit string, raw, store func() time.Duration) {
	var took [2][]time.Duration
	for i := 0; b.Loop(); i++ {
		fns := [2]func() time.Duration{raw, store}
		for j := range fns {
			// The two sides take turns at coming first.
			which := (i + j) % 2
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

// CompareSingle compares single requests of concurrent clients, on keys drawn from the given ones.
func CompareSingle(b *testing.B, clients int, keys [][]byte, raw, store func(key []byte) error) {
	const turn = 256
	run := func(do func(key []byte) error) time.Duration {
		var left atomic.Int64
		left.Store(turn)
		var wg sync.WaitGroup
		began := time.Now()
		for range clients {
			wg.Go(func() {
				for left.Add(-1) >= 0 {
					if err := do(keys[rand.IntN(len(keys))]); err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
		return time.Since(began)
	}
	Compare(b, turn, "op/s", func() time.Duration { return run(raw) }, func() time.Duration { return run(store) })
}

// TimeScan returns how long a scan of keys and values takes. It fails unless the scan delivers this
// many pairs.
func TimeScan(b *testing.B, s kv.Store, pairs int) time.Duration {
	b.Helper()
	began := time.Now()
	sc, err := s.Scan(background, kv.ScanOptions{Values: true})
	if err != nil {
		b.Fatal(err)
	}
	defer sc.Close()
	n := 0
	for batch := new(kv.Batch); ; n += len(batch.Pairs) {
		more, err := sc.Next(background, batch)
		if err != nil {
			b.Fatal(err)
		}
		if !more {
			break
		}
	}
	if n != pairs {
		b.Fatalf("%d pairs, want %d", n, pairs)
	}
	return time.Since(began)
}
