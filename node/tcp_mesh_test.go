package node

import (
	"context"
	"fmt"
	"net"
	"os"
	"slices"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"viakv/node/transport"
	"viakv/node/transport/tcp"
	"viakv/quorum/version"
)

// tcpMesh is a few whole nodes in this process, over TCP.
type tcpMesh struct {
	t         testing.TB
	nodes     []*Node
	addresses []transport.Address
	listeners []net.Listener // of the nodes that have not started yet
	stops     []func()
}

// newTCPMesh founds a cluster of n nodes and waits until all of them are ready.
func newTCPMesh(t testing.TB, n int) *tcpMesh {
	t.Helper()
	r := &tcpMesh{t: t}
	r.found(n, func(int, *Config) {})
	return r
}

// found founds a cluster of n nodes. The change may edit their configurations.
func (r *tcpMesh) found(n int, change func(i int, c *Config)) {
	r.t.Helper()
	for range n {
		r.reserve()
	}
	for i := range n {
		r.start(i, r.addresses, func(c *Config) { change(i, c) })
	}
	for i := range n {
		r.await(i, time.Minute)
	}
}

// reserve gives the next node an address and listens there.
func (r *tcpMesh) reserve() {
	r.t.Helper()
	r.nodes, r.stops = append(r.nodes, nil), append(r.stops, nil)
	r.addresses, r.listeners = append(r.addresses, ""), append(r.listeners, nil)
	r.listen(len(r.nodes)-1, "127.0.0.1:0")
}

func (r *tcpMesh) listen(i int, at string) {
	r.t.Helper()
	l, err := net.Listen("tcp", at)
	if err != nil {
		r.t.Fatal(err)
	}
	r.listeners[i], r.addresses[i] = l, transport.Address(l.Addr().String())
}

// start starts node i with an empty memory, at the address that it had before if it has run before.
func (r *tcpMesh) start(i int, seeds []transport.Address, change func(*Config)) {
	r.t.Helper()
	if r.listeners[i] == nil {
		r.listen(i, string(r.addresses[i]))
	}
	l := r.listeners[i]
	r.listeners[i] = nil
	log := zap.NewNop()
	if os.Getenv("VIAKV_TEST_LOG") != "" {
		log = zaptest.NewLogger(r.t)
	}
	c := Config{
		Name: fmt.Sprint("n", i+1), Peer: r.addresses[i], Seeds: slices.Clone(seeds), Logger: log,
		NewTransport: func(h transport.Handler) (transport.Transport, error) {
			return tcp.New(tcp.Config{Listener: l, Handler: h, Address: r.addresses[i], Logger: log})
		},
	}
	change(&c)
	n, err := New(c)
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	r.nodes[i], r.stops[i] = n, func() {
		cancel()
		if err := <-ended; err != nil {
			r.t.Error(err)
		}
	}
	r.t.Cleanup(func() { r.stop(i) })
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
	r.listen(i, "127.0.0.1:0")
	r.start(i, r.addresses, func(*Config) {})
}

// until waits until cond holds, and fails the test when it does not within a minute.
func (r *tcpMesh) until(what string, cond func() bool) {
	r.t.Helper()
	for end := time.Now().Add(time.Minute); !cond(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			r.t.Fatalf("never: %s", what)
		}
	}
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

// state returns what node i is at the present epoch.
func (r *tcpMesh) state(i int) *state { return r.nodes[i].present.Load().state.Load() }

// load puts n records of 16 + 128 bytes directly into the stores of the given nodes.
func (r *tcpMesh) load(n int, nodes ...int) {
	value := make([]byte, 128)
	for _, i := range nodes {
		s := r.state(i)
		for k := range n {
			s.put(r.t, fmt.Sprintf("key-%012d", k), version.Record{Tag: version.Tag{Counter: uint64(k + 1), Incarnation: 1}, Value: value})
		}
	}
}

// root returns the digest of everything that node i holds.
func (r *tcpMesh) root(i int) string { return r.state(i).Store.Root().String() }
