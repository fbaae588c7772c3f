package watermark

import (
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"
)

// The watermark is the least open number. While none is open, it is above all numbers given out.
func TestTheWatermarkIsTheLeastOpenNumber(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var c Counter
		var open []*Open
		last := uint64(0)
		t.Repeat(map[string]func(*rapid.T){
			"observe": func(t *rapid.T) {
				n := rapid.Uint64Range(0, 100).Draw(t, "seen")
				c.Observe(n)
				last = max(last, n)
			},
			"take": func(t *rapid.T) {
				o := c.Take()
				if o.N != last+1 {
					t.Fatalf("took %d after %d", o.N, last)
				}
				last = o.N
				open = append(open, o)
			},
			"close": func(t *rapid.T) {
				if len(open) == 0 {
					t.Skip("none is open")
				}
				i := rapid.IntRange(0, len(open)-1).Draw(t, "which")
				open[i].Close()
				open = slices.Delete(open, i, i+1)
			},
			"": func(t *rapid.T) {
				want := last + 1
				if len(open) > 0 {
					want = open[0].N
				}
				if c.Mark() != want || c.Now() != last {
					t.Fatalf("the watermark is %d and the counter %d, want %d and %d", c.Mark(), c.Now(), want, last)
				}
			},
		})
	})
}

// No watermark that is read while numbers are taken and closed is above one that is open then, or
// that is taken later.
func TestNoWatermarkPassesAnOpenNumber(t *testing.T) {
	var c Counter
	var highest atomic.Uint64 // of all watermarks that were read
	var over atomic.Bool
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for !over.Load() {
				for range 100 {
					mark := c.Mark()
					for now := highest.Load(); mark > now && !highest.CompareAndSwap(now, mark); now = highest.Load() {
					}
				}
				runtime.Gosched()
			}
		})
	}
	for i := range 1_000_000 {
		o := c.Take()
		if i%16 == 0 {
			runtime.Gosched()
		}
		if mark := highest.Load(); mark > o.N {
			t.Errorf("a watermark of %d was read while %d was open", mark, o.N)
			break
		}
		o.Close()
	}
	over.Store(true)
	readers.Wait()
}

func TestNumbersCostNothing(t *testing.T) {
	var c Counter
	c.Take().Close()
	if n := testing.AllocsPerRun(100, func() { c.Take().Close() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
