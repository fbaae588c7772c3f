package node

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"viakv/api/kv"
)

// T4: a bulk deletion sends more removes to the keys' owners than a node coordinates at a time.
// They must not delay what the nodes read from each other. Each remove needs the answers of another
// node; without these, all removes would stand still until their deadlines.
func TestManyRemovesAtOnce(t *testing.T) {
	const each = 1500
	r := newTCPMesh(t, 3)
	ctx := context.Background()
	key := func(i, k int) []byte { return fmt.Appendf(nil, "key-%d-%d", i, k) }
	for i, n := range r.nodes {
		var load sync.WaitGroup
		for w := range 32 {
			load.Go(func() {
				for k := w; k < each; k += 32 {
					if _, err := n.Set(ctx, key(i, k), []byte("v"), kv.Options{}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		load.Wait()
	}
	// All removes begin at one moment.
	start := make(chan struct{})
	var removes sync.WaitGroup
	var longest atomic.Int64
	for i, n := range r.nodes {
		for k := range each {
			removes.Go(func() {
				<-start
				began := time.Now()
				if err := n.Remove(ctx, key(i, k), kv.Options{Deadline: began.Add(20 * time.Second)}); err != nil {
					t.Errorf("remove of %s: %v", key(i, k), err)
				}
				keepLongest(&longest, began)
			})
		}
	}
	close(start)
	removes.Wait()
	t.Logf("%d removes at once at each of three nodes: the longest took %v", each, time.Duration(longest.Load()))
	if longest := time.Duration(longest.Load()); longest > 10*time.Second {
		t.Errorf("a remove took %v", longest)
	}
}

// keepLongest notes how long ago something began, if nothing has taken longer.
func keepLongest(longest *atomic.Int64, began time.Time) {
	for took := int64(time.Since(began)); ; {
		if was := longest.Load(); took <= was || longest.CompareAndSwap(was, took) {
			return
		}
	}
}

// BenchmarkRemovesBesideReads lets callers at each of three nodes remove keys that are not there.
// For each hundred of them one caller reads. The benchmark reports the longest wait of each kind of
// call.
func BenchmarkRemovesBesideReads(b *testing.B) {
	for _, callers := range []int{200, 1000, 3000} {
		b.Run(fmt.Sprint(callers), func(b *testing.B) {
			r := newTCPMesh(b, 3)
			ctx, stop := context.WithTimeout(context.Background(), 3*time.Second)
			defer stop()
			var read, removed, none, unknown, longestRead, longestRemove, longestNone atomic.Int64
			var load sync.WaitGroup
			b.ResetTimer()
			for i, n := range r.nodes {
				// The callers that remove.
				for c := range callers {
					load.Go(func() {
						for k := 0; ctx.Err() == nil; k++ {
							began := time.Now()
							err := n.Remove(context.Background(), fmt.Appendf(nil, "%d-%d-%d", i, c, k), kv.Options{})
							switch {
							case errors.Is(err, kv.ErrMissing):
								removed.Add(1)
								keepLongest(&longestRemove, began)
							case endedWith(err, kv.None):
								none.Add(1)
								keepLongest(&longestNone, began)
							default:
								unknown.Add(1)
							}
						}
					})
				}
				// The callers that read.
				for c := range max(1, callers/100) {
					load.Go(func() {
						for k := 0; ctx.Err() == nil; k++ {
							began := time.Now()
							if _, err := n.Has(context.Background(), fmt.Appendf(nil, "%d-%d", c, k), kv.Options{}); errors.Is(err, kv.ErrMissing) {
								read.Add(1)
								keepLongest(&longestRead, began)
							}
						}
					})
				}
			}
			load.Wait()
			b.ReportMetric(float64(read.Load())/3, "reads/s")
			b.ReportMetric(float64(removed.Load())/3, "removes/s")
			b.ReportMetric(float64(none.Load()), "none")
			b.ReportMetric(float64(unknown.Load()), "unknown")
			b.ReportMetric(float64(longestRead.Load())/1e6, "longest-read-ms")
			b.ReportMetric(float64(longestRemove.Load())/1e6, "longest-remove-ms")
			b.ReportMetric(float64(longestNone.Load())/1e6, "longest-none-ms")
		})
	}
}
