package kvtest

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"viakv/api/kv"
)

// maxBatch bounds the memory of a scan's batch, in bytes.
const maxBatch = 16 << 20

// ScanIsFlat scans a store that delivers keys in their order. This many pairs must come, each once,
// and the heap must grow by no more than limit bytes.
func ScanIsFlat(t testing.TB, s kv.Store, pairs int, limit uint64) {
	t.Helper()
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapInuse
	}
	began := time.Now()
	sc, err := s.Scan(background, kv.ScanOptions{Values: true})
	if err != nil {
		t.Fatal(err)
	}
	defer sc.Close()
	// The pairs must come in order; the heap is measured every 32 batches.
	before, most := heap(), uint64(0)
	n, batches, last := 0, 0, ""
	for b := new(kv.Batch); ; {
		more, err := sc.Next(background, b)
		if err != nil {
			t.Fatal(err)
		}
		if !more {
			break
		}
		for _, p := range b.Pairs {
			if string(p.Key) <= last {
				t.Fatalf("%q after %q", p.Key, last)
			}
			last = string(p.Key)
		}
		n += len(b.Pairs)
		if c := cap(b.Arena); c > maxBatch {
			t.Fatalf("a batch of %d bytes", c)
		}
		if batches++; batches%32 == 0 {
			most = max(most, heap())
		}
	}
	if n != pairs {
		t.Fatalf("%d pairs, want %d", n, pairs)
	}
	if most > before+limit {
		t.Fatalf("the heap grew from %d to %d bytes", before, most)
	}
	t.Logf("%d pairs in %v, heap %d KiB above the start", n, time.Since(began), (int64(most)-int64(before))>>10)
}

// LargeClear clears a store while four writers go on. The clear must not hold them up. All that was
// there before must be gone, and nothing that was acknowledged since. after, if it is not nil,
// waits for what the store does after a clear; the writers must get on beside it.
func LargeClear(t testing.TB, s kv.Store, after func()) {
	t.Helper()
	var stop atomic.Bool
	var written [4]atomic.Int64
	var wg sync.WaitGroup
	defer wg.Wait() // also on failure
	defer stop.Store(true)
	for w := range written {
		wg.Go(func() {
			for i := 1; !stop.Load(); i++ {
				if _, err := s.Set(background, fmt.Appendf(nil, "writer %d/%d", w, i), []byte("v"), patient()); err != nil {
					t.Errorf("set beside a clear: %v", err)
					return
				}
				written[w].Store(int64(i))
			}
		})
	}
	// Each writer is looked at by itself. What the slowest one has done since says nothing about
	// the others: one of them may have stood still since before the clear.
	progress := func() {
		t.Helper()
		for w := range written {
			from, until := written[w].Load(), time.Now().Add(time.Minute)
			for written[w].Load() < from+20 {
				if t.Failed() || time.Now().After(until) {
					t.Fatalf("writer %d does not get on", w)
				}
				time.Sleep(time.Millisecond)
			}
		}
	}
	progress()
	began := time.Now()
	if err := s.Clear(background, patient()); err != nil {
		t.Fatal(err)
	}
	t.Logf("clear under load: %v", time.Since(began))
	if _, err := s.Has(background, []byte("writer 0/1"), patient()); !errors.Is(err, kv.ErrMissing) {
		t.Errorf("what was written before the clear: %v", err)
	}
	progress()
	if after != nil {
		after()
		progress()
	}
	stop.Store(true)
	wg.Wait()
	found := collect(t, s, kv.ScanOptions{})
	for key := range found {
		if !strings.HasPrefix(key, "writer ") {
			t.Fatalf("%q outlived the clear", key)
		}
	}
	for w := range written {
		last := fmt.Sprintf("writer %d/%d", w, written[w].Load())
		if _, ok := found[last]; !ok {
			t.Errorf("%s was acknowledged after the clear, and is gone", last)
		}
	}
}
