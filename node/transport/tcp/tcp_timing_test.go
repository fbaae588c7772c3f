package tcp

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"viakv/node/transport"
)

// BenchmarkCalls measures requests of 40 bytes with replies of 200 bytes over one loopback
// connection. Both ends are in this process.
func BenchmarkCalls(b *testing.B) {
	for _, callers := range []int{1, 16, 64, 256} {
		b.Run(fmt.Sprint(callers), func(b *testing.B) {
			p := newPair(b, nil)
			request := make([]byte, 40)
			request[0] = 200
			var left atomic.Int64
			left.Store(int64(b.N))
			var wg sync.WaitGroup
			b.ResetTimer()
			began := time.Now()
			for range callers {
				wg.Go(func() {
					done := make(waiting, 1)
					call := &transport.Call{Request: request, Done: done, Urgent: true}
					for left.Add(-1) >= 0 {
						p.a.Go(p.addressB, transport.Data, call)
						if <-done; call.Err != nil {
							b.Error(call.Err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(b.N)/time.Since(began).Seconds()/1000, "kcalls/s")
		})
	}
}
