package check

import (
	"context"
	"slices"
	"sync"
	"time"

	"viakv/api/client"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Audit reads every key of the history once at every endpoint, and adds these reads to the history.
// So the check finds an acknowledged write that was lost long after the clients were done with its
// key. Audit returns how many reads failed.
func (h *History) Audit(ctx context.Context, endpoints []*client.Client, progress func(done, total uint64)) (failed int) {
	keys := h.allKeys()
	const readers = 8
	var (
		reading sync.WaitGroup
		mu      sync.Mutex
		read    uint64
		next    = make(chan *key)
	)
	// Readers take one key at a time and ask each endpoint for it.
	for range readers {
		reading.Go(func() {
			for k := range next {
				for at, c := range endpoints {
					o := operation{Client: auditor, Endpoint: at, Kind: get, Call: h.Elapsed()}
					var value opValue
					text, err := c.Get(ctx, k.name)
					if err == nil {
						value = parse(k, text)
					}
					result := resultOf(get, err)
					h.end(k, o, result, value)
					if result == open || result == refused {
						mu.Lock()
						failed++
						mu.Unlock()
					}
				}
				mu.Lock()
				if read++; progress != nil {
					progress(read, uint64(len(keys)))
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

// Availability counts the answers of each second of the recording. The result longest is the
// longest time in which no write was acknowledged, up to the given end. The result bearable is the
// same without the spans in beyond, in which too much was broken for a write to be expected.
func (h *History) Availability(end time.Duration, beyond []Span) (buckets []Bucket, longest, bearable time.Duration) {
	n := int(end/time.Second) + 1
	buckets = make([]Bucket, n)
	latencies := make([]*hdrhistogram.Histogram, n)
	serving := make([]map[int]bool, n)
	writes := []time.Duration{0, end}
	add := func(o operation) {
		answered := o.Return
		if answered == forever {
			// The moment when the client gave up is not kept, so the request counts where it began.
			answered = o.Call
		}
		i := int(answered / time.Second)
		if i < 0 || i >= n || o.Client == auditor {
			return
		}
		b := &buckets[i]
		switch o.Result {
		case done, missing:
			b.Good++
			if latencies[i] == nil {
				latencies[i], serving[i] = hdrhistogram.New(1, 120_000_000, 2), map[int]bool{}
			}
			_ = latencies[i].RecordValue((o.Return - o.Call).Microseconds())
			serving[i][o.Endpoint] = true
			if o.Kind == set {
				writes = append(writes, o.Return)
			}
		case refused:
			b.Refused++
		default:
			b.Unknown++
		}
	}
	// Count what clients asked and got. The reads of the audit came later and are left out.
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

// Span is an interval of a recording, from the recording's start.
type Span struct{ From, To time.Duration }

// longestGap returns the longest time between neighbouring times, up to end, without the spans in
// but. These must be in order and must not touch.
func longestGap(times []time.Duration, end time.Duration, but []Span) (longest time.Duration) {
	slices.Sort(times)
	for i := 1; i < len(times) && times[i-1] < end; i++ {
		from, to := times[i-1], min(times[i], end)
		for _, s := range but {
			if s.To <= from || s.From >= to {
				continue
			}
			longest = max(longest, s.From-from)
			from = min(s.To, to)
		}
		longest = max(longest, to-from)
	}
	return longest
}
