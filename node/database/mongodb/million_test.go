package mongodb

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

// TestMillionDocuments: a scan of a million documents keeps a few pages in memory, and finds every one once, in order; a clear under load then takes
// all of them, and nothing that was acknowledged after it returned.
func TestMillionDocuments(t *testing.T) {
	const documents, limit = 1_000_000, 64 << 20
	r := newStandIn(t)
	r.put(documents, []byte("a value of some forty characters, no less"))
	s := openOn(t, r.url())
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapInuse
	}
	sc, err := s.Scan(bg, kv.ScanOptions{Values: true}) // it sorts the stand-in's keys
	if err != nil {
		t.Fatal(err)
	}
	defer sc.Close()
	before, most := heap(), uint64(0)
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
		if batches++; batches%64 == 0 {
			most = max(most, heap())
		}
	}
	if n != documents {
		t.Fatalf("%d documents, want %d", n, documents)
	}
	if most > before+limit {
		t.Fatalf("the heap grew from %d to %d bytes", before, most)
	}
	clearUnderLoad(t, s)
}

// clearUnderLoad clears while four writers go on.
func clearUnderLoad(t *testing.T, s *Store) {
	t.Helper()
	var stop atomic.Bool
	var written [4]atomic.Int64
	var wg sync.WaitGroup
	for w := range written {
		wg.Go(func() {
			for i := 1; !stop.Load(); i++ {
				if err := set(s, fmt.Sprintf("writer %d/%d", w, i), "v"); err != nil {
					t.Errorf("set beside a clear: %v", err)
					return
				}
				written[w].Store(int64(i))
			}
		})
	}
	// Each writer by itself: what the slowest has done since says nothing about the others, one of which may have stood still since before the clear.
	progress := func(by int64) {
		t.Helper()
		for w := range written {
			from, until := written[w].Load(), time.Now().Add(time.Minute)
			for written[w].Load() < from+by {
				if t.Failed() || time.Now().After(until) {
					t.Fatalf("writer %d does not get on", w)
				}
				time.Sleep(time.Millisecond)
			}
		}
	}
	progress(10)
	if err := s.Clear(bg, patient()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Has(bg, []byte("writer 0/1"), patient()); !errors.Is(err, kv.ErrMissing) {
		t.Errorf("what was written before the clear: %v", err)
	}
	progress(10)
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
