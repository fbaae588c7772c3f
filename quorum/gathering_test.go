package quorum

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"viakv/api/kv"
)

// Sets that come together share an operation. One whose deadline is another does not, and neither
// does one with a w.
func TestSetsShareAnOperation(t *testing.T) {
	inMesh(t, 3, func(t *testing.T, m *mesh) {
		m.Lease(0, 1, 2)
		nd := m.nodes[0]
		calls := map[int]int{} // by how many records they have
		nd.filter = func(c *Call) bool {
			calls[len(c.Records)]++
			return false
		}
		set := func(i int, opt kv.Options) {
			if _, err := nd.Set(bg, fmt.Append(nil, "k", i), []byte("v"), opt); err != nil {
				t.Error(err)
			}
		}
		deadline := time.Now().Add(time.Second)
		first := newSet("first", "v")
		first.deadline = deadline
		crowd := nd.gathering.join(first)
		for i := range 9 {
			go set(i, kv.Options{Deadline: deadline.Add(time.Duration(i) * time.Millisecond)})
		}
		synctest.Wait() // they wait for the first
		set(10, kv.Options{Deadline: deadline.Add(time.Second)})
		set(11, kv.Options{}) // for two seconds
		set(12, kv.Options{Deadline: deadline, W: kv.QuorumAll})
		nd.setAll(crowd.sets, kv.Options{Deadline: deadline})
		synctest.Wait()
		if first.err != nil || calls[10] != 2 || calls[1] != 6 || len(calls) != 2 {
			t.Errorf("calls by records: %v, %v", calls, first.err)
		}
	})
}

// Sets beyond the bounds of an operation gather for the next one.
func TestAnOperationIsBounded(t *testing.T) {
	for _, c := range []struct{ bytes, fit int }{{0, MaxRecords}, {maxSetBytes / 2, 2}, {1000, maxSetBytes/1000 + 1}} {
		g, first := newGathering(), 0
		for i := range 2 * c.fit {
			if g.join(&setter{value: make([]byte, c.bytes)}) != nil {
				if i%c.fit != 0 {
					t.Fatalf("with %d bytes, set %d is the first of a crowd", c.bytes, i)
				}
				first++
			}
		}
		if first != 2 {
			t.Errorf("with %d bytes: %d crowds of %d", c.bytes, first, c.fit)
		}
	}
}

// While some operations are under way, the next one keeps gathering. It begins when one of them has
// ended, or after a while, and not later than its deadline.
func TestSetsGatherWhileOthersAreUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, free := newGathering(), make(chan struct{})
		var mu sync.Mutex
		var ran []int // how many sets each operation had, in the order in which they began
		begin := func(left time.Duration) {
			deadline := time.Now().Add(left)
			if mine := g.join(&setter{deadline: deadline}); mine != nil {
				g.await(mine, deadline)
				mu.Lock()
				ran = append(ran, len(mine.sets))
				mu.Unlock()
				<-free
				g.end(mine)
			}
		}
		several := func(n int, want ...int) {
			t.Helper()
			for range n {
				go begin(time.Second)
				synctest.Wait()
			}
			mu.Lock()
			defer mu.Unlock()
			if !slices.Equal(ran, want) {
				t.Errorf("operations of %d sets, want %d", ran, want)
			}
		}
		several(maxUnderway, 1, 1, 1)
		several(5, 1, 1, 1) // they gather
		free <- struct{}{}
		synctest.Wait()
		several(2, 1, 1, 1, 5) // these, too
		time.Sleep(maxGather)
		synctest.Wait()
		several(1, 1, 1, 1, 5, 2)
		go begin(maxGather / 2) // as its deadline is another one, it does not wait for that one
		time.Sleep(maxGather / 2)
		synctest.Wait()
		several(0, 1, 1, 1, 5, 2, 1)
		close(free)
		synctest.Wait()
		several(1, 1, 1, 1, 5, 2, 1, 1, 1)
		if len(g.underway) != 0 || g.next != nil {
			t.Error("something is left")
		}
	})
}
