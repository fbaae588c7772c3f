package quorum

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"viakv/api/kv"
)

// At most maxRemoves removes are in progress. The others wait for a turn, first come, first served.
// A remove whose deadline comes before its turn has sent nothing.
func TestRemovesWaitForTheirTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nd := newMesh(t, 3).nodes[0]
		var held atomic.Bool
		held.Store(true)
		var mu sync.Mutex
		sent := map[string]bool{}
		nd.filter = func(c *Call) bool {
			mu.Lock()
			defer mu.Unlock()
			sent[string(c.Key)] = true
			if held.Load() {
				nd.swallow(c)
			}
			return held.Load()
		}
		keys := func() int {
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			return len(sent)
		}
		var removes sync.WaitGroup
		for i := range maxRemoves {
			removes.Go(func() {
				if nd.Remove(bg, fmt.Append(nil, i), kv.Options{}) == nil {
					t.Error("a remove that nobody answered succeeded")
				}
			})
		}
		if got := keys(); got != maxRemoves {
			t.Fatalf("%d of %d removes have begun", got, maxRemoves)
		}
		began := time.Now()
		err := nd.Remove(bg, []byte("impatient"), kv.Options{Deadline: began.Add(10 * time.Millisecond)})
		wantOutcome(t, err, kv.None)
		if took := time.Since(began); took != 10*time.Millisecond || !errors.Is(err, errDeadline) {
			t.Errorf("%v after %v", err, took)
		}
		var ended []int
		for i := range 3 {
			removes.Go(func() {
				err := nd.Remove(bg, fmt.Append(nil, "patient", i), kv.Options{Deadline: began.Add(time.Minute)})
				if !errors.Is(err, kv.ErrMissing) {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				ended = append(ended, i)
			})
			if got := keys(); got != maxRemoves {
				t.Errorf("%d removes have begun while %d may", got, maxRemoves)
			}
		}
		held.Store(false) // the removes that are in progress come to their deadlines
		removes.Wait()
		if sent["impatient"] || len(ended) != 3 {
			t.Errorf("the impatient one was sent: %v; ended: %v", sent["impatient"], ended)
		}
		time.Sleep(time.Second) // in the bubble's time: the last calls end
	})
}
