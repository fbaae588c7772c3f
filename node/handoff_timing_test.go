package node

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"viakv/api/kv"
	"viakv/quorum/version"
)

// processTime returns the CPU time of all nodes. Unlike wall-clock time it does not count what else
// the machine does.
func processTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// timingKeys returns the value of VIAKV_TEST_KEYS: how many keys a timing test stores. It skips the
// test when the variable is not set.
func timingKeys(t testing.TB) int {
	n, err := strconv.Atoi(os.Getenv("VIAKV_TEST_KEYS"))
	if err != nil {
		t.Skip("set VIAKV_TEST_KEYS, for example to 1000000")
	}
	return n
}

func TestTimingRebuild(t *testing.T) {
	n := timingKeys(t)
	r := newTCPMesh(t, 3)
	r.load(n, 0, 1, 2)
	r.restart(2)
	began := time.Now()
	r.await(2, time.Minute)
	s := r.nodes[2].present.Load().driver.Stats()
	t.Logf("%d keys: ready after %v; %d records, %d bytes", n, time.Since(began), s.Received, s.Bytes)
	if r.root(0) != r.root(2) {
		t.Errorf("%s\n%s", r.root(0), r.root(2))
	}
}

// One of three members misses a thousand writes, and there are no hints. The test measures what
// digests find and move.
func TestTimingMissedWrites(t *testing.T) {
	n := timingKeys(t)
	r := newTCPMesh(t, 3)
	r.load(n, 0, 1, 2)
	moved := func() (bytes uint64) {
		for _, x := range r.nodes {
			bytes += x.present.Load().driver.Stats().Bytes
		}
		return bytes
	}
	// Wait until the nodes are equal and quiet.
	for quiet, before := 0, moved(); quiet < 3; {
		time.Sleep(500 * time.Millisecond)
		now := moved()
		if now == before && r.root(0) == r.root(2) && r.root(1) == r.root(2) {
			quiet++
		} else {
			quiet = 0
		}
		before = now
	}
	value := make([]byte, 128)
	for _, i := range []int{0, 1} {
		s := r.state(i)
		for k := range 1000 {
			s.put(t, fmt.Sprintf("key-%012d", k*(n/1000)), version.Record{Tag: version.Tag{Counter: uint64(n + k + 1), Incarnation: 1}, Value: value})
		}
	}
	// Members compare periodically. What counts is the time from the first comparison that the late
	// node takes part in.
	late := r.nodes[2].present.Load()
	repairing := func() bool {
		for _, m := range late.state.Load().View.Members {
			if late.driver.RepairWith(m.Incarnation) != nil {
				return true
			}
		}
		for _, i := range []int{0, 1} {
			if r.nodes[i].present.Load().driver.RepairWith(late.state.Load().Self) != nil {
				return true
			}
		}
		return false
	}
	before, began := moved(), time.Time{}
	for end := time.Now().Add(time.Minute); r.root(0) != r.root(2); time.Sleep(time.Millisecond) {
		if began.IsZero() && repairing() {
			began = time.Now()
		}
		if time.Now().After(end) {
			t.Fatal("the nodes stay different")
		}
	}
	took, bytes := time.Since(began), moved()-before
	t.Logf("%d keys: equal %v after the repair began; %d bytes", n, took, bytes)
	if bytes > 1<<20 {
		t.Error("that is more than the records and the search for them should need")
	}
}

func TestTimingScan(t *testing.T) {
	n := timingKeys(t)
	for _, size := range []int{1, 3} {
		r := newTCPMesh(t, size)
		all := []int{0, 1, 2}[:size]
		r.load(n, all...)
		for range 3 {
			began, cpu := time.Now(), processTime()
			sc, err := r.nodes[0].Scan(context.Background(), kv.ScanOptions{Values: true})
			if err != nil {
				t.Fatal(err)
			}
			var b kv.Batch
			pairs, first := 0, time.Duration(0)
			for {
				ok, err := sc.Next(context.Background(), &b)
				if err != nil {
					t.Fatal(err)
				}
				if !ok {
					break
				}
				if first == 0 {
					first = time.Since(began)
				}
				pairs += len(b.Pairs)
			}
			sc.Close()
			t.Logf("%d nodes: %d pairs in %v, CPU %v, the first after %v", size, pairs, time.Since(began), processTime()-cpu, first)
			if pairs != n {
				t.Fatal("the scan missed some pairs")
			}
		}
		for i := range r.stops {
			r.stop(i)
		}
	}
}

// Clients set and remove keys over TCP while tombstones of earlier removes are purged. No request
// fails because of that.
func TestTimingCollection(t *testing.T) {
	n := max(1000, timingKeys(t)/50)
	r := newTCPMesh(t, 3)
	const clients, most = 24, 60
	rounds := 0
	for ; rounds < most && r.nodes[0].Status().Purge < 4; rounds++ {
		for _, verb := range []string{"set", "remove"} {
			var load sync.WaitGroup
			for c := range clients {
				load.Go(func() {
					for k := c; k < n; k += clients {
						at, key := r.nodes[(c+k)%3], fmt.Appendf(nil, "key-%d-%d", rounds, k)
						var err error
						if verb == "set" {
							_, err = at.Set(context.Background(), key, []byte("v"), kv.Options{})
						} else {
							err = at.Remove(context.Background(), key, kv.Options{})
						}
						if err != nil {
							t.Errorf("round %d: %s: %v", rounds, verb, err)
						}
					}
				})
			}
			load.Wait()
		}
	}
	t.Logf("%d sets and as many removes beside %d purges", rounds*n, r.nodes[0].Status().Purge)
}
