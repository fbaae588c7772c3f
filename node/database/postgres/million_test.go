//go:build postgres

package postgres

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

// TestMillionRows: a scan of a million rows keeps no more than a few pages in memory, and finds every row once, in order; a clear at that size under
// load is one row.
func TestMillionRows(t *testing.T) {
	const rows, limit = 1_000_000, 48 << 20
	s := openFresh(t)
	fillRows(t, s, rows)
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapInuse
	}
	before, most := heap(), uint64(0)
	began := time.Now()
	sc, err := s.Scan(bg, kv.ScanOptions{Values: true})
	if err != nil {
		t.Fatal(err)
	}
	defer sc.Close()
	n, batches, last := 0, 0, ""
	var b kv.Batch
	for {
		more, err := sc.Next(bg, &b)
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
		if batches++; batches%32 == 0 {
			most = max(most, heap())
		}
	}
	if n != rows {
		t.Fatalf("%d rows, want %d", n, rows)
	}
	if most > before+limit {
		t.Fatalf("the heap grew from %d to %d bytes", before, most)
	}
	t.Logf("%d rows in %v, heap %d KiB above the start", n, time.Since(began), (int64(most)-int64(before))>>10)
	clearUnderLoad(t, s)
}

// clearUnderLoad clears while four writers go on: they are not held up, all that was there before is gone, and nothing that was acknowledged since. Then
// the collector deletes the garbage beside them.
func clearUnderLoad(t *testing.T, s *Store) {
	t.Helper()
	var stop atomic.Bool
	var written [4]atomic.Int64
	var wg sync.WaitGroup
	patient := func() kv.Options { return kv.Options{Deadline: time.Now().Add(time.Minute)} }
	for w := range written {
		wg.Go(func() {
			for i := 1; !stop.Load(); i++ {
				if _, err := s.Set(bg, fmt.Appendf(nil, "writer %d/%d", w, i), []byte("v"), patient()); err != nil {
					t.Errorf("set beside a clear: %v", err)
					return
				}
				written[w].Store(int64(i))
			}
		})
	}
	progress := func(by int64) {
		t.Helper()
		for w := range written {
			from := written[w].Load()
			eventually(t, "the writers get on", func() bool { return t.Failed() || written[w].Load() >= from+by })
		}
	}
	progress(20)
	began := time.Now()
	if err := s.Clear(bg, patient()); err != nil {
		t.Fatal(err)
	}
	t.Logf("clear under load: %v", time.Since(began))
	if _, err := s.Has(bg, []byte("writer 0/1"), patient()); !errors.Is(err, kv.ErrMissing) {
		t.Errorf("what was written before the clear: %v", err)
	}
	progress(20)
	eventually(t, "garbage is collected beside the writers", func() bool { return s.Stats().Collected >= 10*collectRows })
	progress(20)
	stop.Store(true)
	wg.Wait()
	sc, err := s.Scan(bg, kv.ScanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer sc.Close()
	found := map[string]bool{}
	for b := new(kv.Batch); ; {
		more, err := sc.Next(bg, b)
		if err != nil {
			t.Fatal(err)
		}
		if !more {
			break
		}
		for _, p := range b.Pairs {
			if !strings.HasPrefix(string(p.Key), "writer ") {
				t.Fatalf("%q outlived the clear", p.Key)
			}
			found[string(p.Key)] = true
		}
	}
	for w := range written {
		if last := fmt.Sprintf("writer %d/%d", w, written[w].Load()); !found[last] {
			t.Errorf("%s was acknowledged after the clear, and is gone", last)
		}
	}
}
