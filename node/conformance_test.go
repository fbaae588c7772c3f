package node

import (
	"context"
	"fmt"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"viakv/api/kv"
	"viakv/api/kv/kvtest"
	"viakv/node/transport"
	"viakv/node/transport/tcp"
	"viakv/quorum/version"
)

// The mesh fulfils the same contract as the databases. The test asks three nodes over real TCP in
// turn.
func TestConformance(t *testing.T) {
	kvtest.Run(t, func(t *testing.T) kv.Store { return newRound(t, 3) })
}

// round asks one node after the other, as a load balancer does.
type round struct {
	nodes []*Node
	next  atomic.Uint32
}

func (r *round) one() *Node { return r.nodes[int(r.next.Add(1))%len(r.nodes)] }

func (r *round) Get(ctx context.Context, dst, key []byte, o kv.Options) ([]byte, version.Tag, error) {
	return r.one().Get(ctx, dst, key, o)
}

func (r *round) Has(ctx context.Context, key []byte, o kv.Options) (version.Tag, error) {
	return r.one().Has(ctx, key, o)
}

func (r *round) Set(ctx context.Context, key, value []byte, o kv.Options) (version.Tag, error) {
	return r.one().Set(ctx, key, value, o)
}

func (r *round) Remove(ctx context.Context, key []byte, o kv.Options) error {
	return r.one().Remove(ctx, key, o)
}

func (r *round) Clear(ctx context.Context, o kv.Options) error { return r.one().Clear(ctx, o) }

func (r *round) Scan(ctx context.Context, o kv.ScanOptions) (kv.Scanner, error) {
	return r.one().Scan(ctx, o)
}

func (r *round) Ready(ctx context.Context) error { return r.one().Ready(ctx) }

// newRound founds a cluster of n nodes on the loopback interface. They stop at the end of the test.
func newRound(t *testing.T, n int) *round {
	t.Helper()
	// The listeners come first, since each node needs the addresses of all.
	listeners := make([]net.Listener, n)
	seeds := make([]transport.Address, n)
	for i := range listeners {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		listeners[i], seeds[i] = l, transport.Address(l.Addr().String())
	}
	r := &round{}
	for i, l := range listeners {
		node, err := New(Config{
			Name: fmt.Sprint("n", i), Peer: seeds[i], Seeds: seeds,
			NewTransport: func(h transport.Handler) (transport.Transport, error) {
				return tcp.New(tcp.Config{Listener: l, Handler: h})
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- node.Run(ctx) }()
		t.Cleanup(func() {
			stop()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
		r.nodes = append(r.nodes, node)
	}
	// Wait until all nodes are ready.
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		ready := 0
		for _, node := range r.nodes {
			if node.Ready(context.Background()) == nil {
				ready++
			}
		}
		if ready == n {
			return r
		}
		if time.Now().After(end) {
			t.Fatalf("%d of %d nodes are ready", ready, n)
		}
	}
}
