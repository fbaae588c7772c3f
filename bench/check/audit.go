package check

import (
	"context"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Audit reads every key of the history once at every endpoint, and adds that to the history: a
// write that was acknowledged and is gone, long after the clients were done with its key, is found
// here. It returns how many reads failed.
func (h *History) Audit(ctx context.Context, endpoints []Endpoint, progress func(done, total uint64)) (failed int) {
	keys := h.allKeys()
	const readers = 8
	var (
		reading sync.WaitGroup
		mu      sync.Mutex
		done    uint64
		next    = make(chan *key)
	)
	for range readers {
		reading.Go(func() {
			for k := range next {
				for at, e := range endpoints {
					o := Operation{Client: auditor, Endpoint: at, Kind: Get, Call: h.now()}
					var value Value
					text, err := e.Client.Get(ctx, k.name)
					if err == nil {
						value = parse(k, text)
					}
					result := resultOf(Get, err)
					h.end(k, o, result, value)
					if result == Open {
						mu.Lock()
						failed++
						mu.Unlock()
					}
				}
				mu.Lock()
				if done++; progress != nil {
					progress(done, uint64(len(keys)))
				}
				mu.Unlock()
			}
		})
	}
	for _, k := range keys {
		if ctx.Err() != nil {
			break
		}
		next <- k
	}
	close(next)
	reading.Wait()
	return failed
}

// Availability sums the history up by the second in which answers came. Longest is the longest time
// in which no write was acknowledged, up to the end given; bearable is the same with the spans left
// out in which nothing else was to be expected.
func (h *History) Availability(end time.Duration, beyond []Span) (buckets []Bucket, longest, bearable time.Duration) {
	n := int(end/time.Second) + 1
	buckets = make([]Bucket, n)
	latencies := make([]*hdrhistogram.Histogram, n)
	serving := make([]map[int]bool, n)
	writes := []time.Duration{0, end}
	add := func(o Operation) {
		answered := o.Return
		if answered == forever {
			answered = o.Call // when the client gave up is not kept; it began then
		}
		i := int(answered / time.Second)
		if i < 0 || i >= n || o.Client == auditor {
			return
		}
		b := &buckets[i]
		switch o.Result {
		case Done, Missing:
			b.Good++
			if latencies[i] == nil {
				latencies[i], serving[i] = hdrhistogram.New(1, 120_000_000, 2), map[int]bool{}
			}
			_ = latencies[i].RecordValue((o.Return - o.Call).Microseconds())
			serving[i][o.Endpoint] = true
			if o.Kind == Set {
				writes = append(writes, o.Return)
			}
		case Refused:
			b.Refused++
		default:
			b.Unknown++
		}
	}
	for _, k := range h.allKeys() {
		k.mu.Lock()
		for _, o := range k.ops {
			add(o)
		}
		k.mu.Unlock()
	}
	h.mu.Lock()
	for _, o := range h.others {
		add(o)
	}
	h.mu.Unlock()
	for i := range buckets {
		buckets[i].At = float64(i)
		if l := latencies[i]; l != nil {
			buckets[i].P50, buckets[i].P99, buckets[i].Max = l.ValueAtPercentile(50), l.ValueAtPercentile(99), l.Max()
			buckets[i].Serving = len(serving[i])
		}
	}
	return buckets, longestGap(writes, end, nil), longestGap(writes, end, beyond)
}
