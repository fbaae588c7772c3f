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

// Clients set and remove keys of their own, over and over, while tombstones are purged. No request
// ends unavailable because of a purge, with a known outcome or an unknown one.
func TestClientsDoNotNoticeACollection(t *testing.T) {
	inUnevenMesh(t, 3, func(m *mesh) {
		const keys = 400
		purges := func() uint64 { return m.nodes[0].Status().Purge }
		before, end := purges(), time.Now().Add(40*time.Second)
		var clients sync.WaitGroup
		for c := range 6 {
			clients.Go(func() {
				for round := 0; time.Now().Before(end) && !t.Failed(); round++ {
					for k := range keys {
						at, key := m.nodes[(c+k+round)%3], fmt.Appendf(nil, "%d-%d", c, k)
						if _, err := at.Set(context.Background(), key, []byte("v"), kv.Options{}); err != nil {
							t.Errorf("set: %v", err)
						}
					}
					for k := range keys {
						at, key := m.nodes[(c+k)%3], fmt.Appendf(nil, "%d-%d", c, k)
						if err := at.Remove(context.Background(), key, kv.Options{}); err != nil {
							t.Errorf("remove: %v", err)
						}
					}
					for k := range keys {
						if err := m.nodes[c%3].Remove(context.Background(), fmt.Appendf(nil, "%d-%d", c, k), kv.Options{}); !errors.Is(err, kv.ErrMissing) {
							t.Errorf("a second remove: %v", err)
						}
					}
				}
			})
		}
		clients.Wait()
		if n := purges() - before; n < 5 {
			t.Errorf("%d purges during the test, want at least 5", n)
		}
	})
}

// Nodes are stopped and started again, one after another, under load. Each is told to stop, so that
// it can finish the removes that it coordinates for others. No request at a running node ends
// unavailable.
func TestClientsDoNotNoticeARollingRestart(t *testing.T) {
	inMesh(t, 3, func(m *mesh) {
		var down [3]atomic.Bool      // a balancer has noticed that the node stops
		var underway [3]atomic.Int64 // requests at the node
		stop := make(chan struct{})
		var clients sync.WaitGroup
		for c := range 6 {
			clients.Go(func() {
				for k := 0; !t.Failed(); k++ {
					select {
					case <-stop:
						return
					default:
					}
					i, key := (c+k)%3, fmt.Appendf(nil, "%d-%d", c, k%50)
					underway[i].Add(1)
					if down[i].Load() {
						underway[i].Add(-1)
						time.Sleep(time.Millisecond)
						continue
					}
					var err error
					switch k / 50 % 2 {
					case 0:
						_, err = m.nodes[i].Set(context.Background(), key, []byte("v"), kv.Options{})
					default:
						err = m.nodes[i].Remove(context.Background(), key, kv.Options{})
					}
					underway[i].Add(-1)
					if err != nil && !errors.Is(err, kv.ErrMissing) {
						t.Errorf("request %d of client %d at %s: %v", k, c, m.name(i), err)
					}
				}
			})
		}
		for round := range 4 {
			for i := range 3 {
				down[i].Store(true)
				m.until(5*time.Second, "its requests have ended", func() bool { return underway[i].Load() == 0 })
				m.stops[i]()
				m.stops[i] = nil
				m.net.Kill(m.address(i))
				m.start(i, m.seeds(3))
				m.until(30*time.Second, fmt.Sprintf("%s is ready again in round %d", m.name(i), round), m.ready(i))
				down[i].Store(false)
				time.Sleep(time.Second)
			}
		}
		close(stop)
		clients.Wait()
	})
}
