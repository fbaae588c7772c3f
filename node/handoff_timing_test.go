package node

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"viakv/api/kv"
	"viakv/node/transport"
	"viakv/node/transport/tcp"
	"viakv/quorum/version"
)

// tcpMesh is a cluster of whole nodes in this process, over TCP.
type tcpMesh struct {
	t       testing.TB
	nodes   []*Node
	stops   []func()
	address []transport.Address
}

// newTCPMesh founds a cluster of n nodes and waits until all of them are ready.
func newTCPMesh(t testing.TB, n int) *tcpMesh {
	r := &tcpMesh{t: t, nodes: make([]*Node, n), stops: make([]func(), n), address: make([]transport.Address, n)}
	listeners := make([]net.Listener, n)
	for i := range n {
		listeners[i] = r.listen(i)
	}
	for i := range n {
		r.start(i, listeners[i])
	}
	t.Cleanup(func() {
		for i := range r.stops {
			r.stop(i)
		}
	})
	for i := range n {
		r.await(i, 20*time.Second)
	}
	return r
}

// listen gives node i a new address and listens there.
func (r *tcpMesh) listen(i int) net.Listener {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		r.t.Fatal(err)
	}
	r.address[i] = transport.Address(l.Addr().String())
	return l
}

// start starts node i on a listener, with an empty memory.
func (r *tcpMesh) start(i int, l net.Listener) {
	log := zap.NewNop()
	if os.Getenv("VIAKV_TEST_LOG") != "" {
		log = zaptest.NewLogger(r.t)
	}
	n, err := New(Config{Name: fmt.Sprintf("node%c", 'a'+i), Peer: r.address[i], Seeds: r.address, Logger: log,
		NewTransport: func(h transport.Handler) (transport.Transport, error) {
			return tcp.New(tcp.Config{Listener: l, Handler: h, Logger: log})
		}})
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	r.nodes[i], r.stops[i] = n, func() {
		cancel()
		if err := <-done; err != nil {
			r.t.Error(err)
		}
	}
}

func (r *tcpMesh) stop(i int) {
	if stop := r.stops[i]; stop != nil {
		r.stops[i] = nil
		stop()
	}
}

// restart stops node i and starts it again under its name, with an empty memory and at another
// address.
func (r *tcpMesh) restart(i int) {
	r.stop(i)
	r.start(i, r.listen(i))
}

// await waits until node i is ready.
func (r *tcpMesh) await(i int, within time.Duration) {
	r.t.Helper()
	for end := time.Now().Add(within); ; time.Sleep(time.Millisecond) {
		err := r.nodes[i].Ready(context.Background())
		if err == nil {
			return
		}
		if time.Now().After(end) {
			r.t.Fatalf("node %d is not ready: %v", i, err)
		}
	}
}

// load puts n records of 16 + 128 bytes directly into the stores of the given nodes.
func (r *tcpMesh) load(n int, nodes ...int) {
	value := make([]byte, 128)
	for _, i := range nodes {
		s := r.nodes[i].present.Load().state.Load()
		for k := range n {
			key := fmt.Appendf(nil, "key-%012d", k)
			rec := version.Record{Tag: version.Tag{Counter: uint64(k + 1), Incarnation: 1}, Value: value}
			if _, err := s.Store.Put(s.View.Epoch, s.View.Seed.Hash(key), key, &rec); err != nil {
				r.t.Fatal(err)
			}
		}
	}
}

// root returns the digest of everything that node i holds.
func (r *tcpMesh) root(i int) string {
	s := r.nodes[i].present.Load().state.Load()
	return s.Store.Root().String()
}

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
		s := r.nodes[i].present.Load().state.Load()
		for k := range 1000 {
			key := fmt.Appendf(nil, "key-%012d", k*(n/1000))
			rec := version.Record{Tag: version.Tag{Counter: uint64(n + k + 1), Incarnation: 1}, Value: value}
			if _, err := s.Store.Put(s.View.Epoch, s.View.Seed.Hash(key), key, &rec); err != nil {
				t.Fatal(err)
			}
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
