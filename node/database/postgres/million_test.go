//go:build postgres

package postgres

import (
	"runtime"
	"testing"
	"time"

	"viakv/api/kv"
)

// TestMillionRowsFlat: a scan of a million rows keeps no more than a few pages in memory, and finds every row once, in order.
func TestMillionRowsFlat(t *testing.T) {
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
	began = time.Now()
	if err := s.Clear(bg, kv.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Logf("clear of %d rows: %v", rows, time.Since(began))
}
