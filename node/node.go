package node

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"viakv/api/health"
	"viakv/node/peer"
	"viakv/node/topology"
	"viakv/node/transport"
	"viakv/quorum"
	"viakv/quorum/scan"
)

// Node is one running replica. It is the kv.Store and the kv.Cluster of the HTTP API.
type Node struct {
	cfg         Config
	log         *zap.Logger
	transport   transport.Transport
	coordinator *quorum.Coordinator
	scans       *scan.Scans
	health      health.Observer
	client      peer.Client
	reading     reading
	server      *peer.Server
	inflight    atomic.Int64 // client requests that are under way
	draining    atomic.Bool  // the node stops soon; until then it serves as before

	started chan struct{}   // closed once Run has begun
	ctx     context.Context // the context of Run; set before started is closed

	stop     sync.Mutex     // guards stopping, and keeps running from growing while Run waits for it
	stopping bool           // no new goroutine begins
	running  sync.WaitGroup // the goroutines that spawn has started

	present atomic.Pointer[membership] // the present membership
	next    atomic.Pointer[membership] // the membership that a join is preparing

	joining sync.Mutex  // held while this node joins a mesh
	frozen  atomic.Bool // no client is served: the node is between two memberships, or has stopped

	mu      sync.Mutex    // guards cfg.Random, retired and closed
	retired []*membership // memberships that are over, whose memory is not freed yet
	// closed says that Run has freed the memory of all memberships. A membership that is retired
	// later is freed at once.
	closed bool
}

// New returns a node that does nothing before Run.
func New(cfg Config) (*Node, error) {
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("node: %w", err)
	}
	n := &Node{cfg: cfg.withDefaults(), started: make(chan struct{})}
	n.log = n.cfg.Logger
	n.server = peer.NewServer(answering{n}, n.log)
	t, err := cfg.NewTransport(n.server)
	if err != nil {
		return nil, fmt.Errorf("node: %w", err)
	}
	n.transport = t
	n.client = peer.Client{}
	n.coordinator = quorum.New(quorum.Config{
		Views: n, Peers: n.client, Hints: hints{n}, Timeout: n.cfg.Timeout, HedgeAfter: n.cfg.HedgeAfter, Full: peer.Full,
	})
	n.scans = scan.New(scan.Config{Views: n, Own: ownBuckets{}, Peers: n.client, Reader: n.coordinator, Timeout: n.cfg.Timeout})
	first, err := n.newMembership(topology.Config{Seeds: cfg.Seeds})
	if err != nil {
		return nil, fmt.Errorf("node: %w", err)
	}
	n.present.Store(first)
	return n, nil
}

// Run serves until stopped ends or the transport fails. It returns when everything that it started
// has stopped.
//
// The node stops in this order. First it ends the removes that it coordinates for its peers, since
// only this node can tell them the outcome. Then it ends the memberships, so that peers are asked
// nothing new. Then it stops the transport, which ends what is under way. It frees the memory of
// the stores last.
func (n *Node) Run(stopped context.Context) error {
	ctx, cancel := context.WithCancel(context.WithoutCancel(stopped))
	defer cancel()
	n.ctx = ctx
	close(n.started)
	carrier, stop := context.WithCancel(context.WithoutCancel(ctx))
	carried := make(chan error, 1)
	go func() { carried <- n.transport.Run(carrier) }()

	n.spawn(func() { n.watchHealth(ctx) })
	n.spawn(func() { n.coordinator.Complete(ctx) })
	n.begin(n.present.Load())
	var err error
	select {
	case <-stopped.Done():
		n.stopRemoves()
	case err = <-carried:
		carried <- nil
		err = fmt.Errorf("node: transport: %w", err)
	}
	cancel()
	n.stop.Lock()
	n.stopping = true
	n.stop.Unlock()
	n.running.Wait()
	stop()
	if e := <-carried; e != nil && !errors.Is(e, context.Canceled) {
		err = errors.Join(err, e)
	}
	n.quiesce()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.closed = true
	for _, m := range append(n.retired, n.present.Load()) {
		m.close()
	}
	return err
}

// goodbyeGrace is how long after a goodbye a remove may still arrive whose sender had not heard the
// goodbye.
const goodbyeGrace = 50 * time.Millisecond

// Drain announces, to any peer that asks, that this node stops soon. The node serves as before, but
// changes of size no longer count on it.
func (n *Node) Drain() { n.draining.Store(true) }

// stopRemoves ends the leases of this node, so that no write waits for it (L13). Then it ends the
// removes that this node coordinates as the owner of their keys. Only this node can tell their
// senders the outcome. It tells the other members that it is about to stop, so
// that they send it no more removes and ask other members first. It refuses a remove that comes all
// the same. It waits for those under way, for Config.Timeout at most.
func (n *Node) stopRemoves() {
	n.Drain()
	n.server.StopRemoves()
	m := n.present.Load()
	s := m.state.Load()
	if s == nil || s.Self == 0 || len(s.View.Members) < 2 {
		return
	}
	s.EndLeases(m.ctx)
	s.SayGoodbye(m.ctx)
	time.Sleep(goodbyeGrace)
	for end := time.Now().Add(n.cfg.Timeout); n.server.Coordinated() > 0 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
}

// spawn runs f in a goroutine that Run waits for. It returns false, without running f, when the
// node is stopping.
func (n *Node) spawn(f func()) bool {
	n.stop.Lock()
	defer n.stop.Unlock()
	if n.stopping {
		return false
	}
	n.running.Go(f)
	return true
}

// retire notes a membership that is over. Its memory is freed when the node stops, at the latest.
func (n *Node) retire(m *membership) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		m.close()
		return
	}
	n.retired = append(n.retired, m)
}

// free frees the memory of a retired membership.
func (n *Node) free(m *membership) {
	m.close()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.retired = slices.DeleteFunc(n.retired, func(r *membership) bool { return r == m })
}

// quiesce refuses new requests of clients and waits for those under way, whose deadlines bound the
// wait. A store must not be used once it is closed.
func (n *Node) quiesce() {
	n.frozen.Store(true)
	for n.inflight.Load() > 0 {
		time.Sleep(time.Millisecond)
	}
}

// begin runs a membership until it or the node ends. A membership that begins while the node is
// stopping is over at once.
func (n *Node) begin(m *membership) {
	m.ctx, m.cancel = context.WithCancel(n.ctx)
	m.running.Add(1)
	if !n.spawn(func() {
		<-m.ctx.Done()
		m.running.Wait()
	}) {
		m.cancel()
		close(m.over)
		m.running.Done()
		return
	}
	go func() {
		defer m.running.Done()
		m.run(m.ctx)
	}()
}

// startOver gives a node with seeds a new membership. The cluster that the node was about to enter
// is gone, or has given its join up.
func (n *Node) startOver(m *membership) {
	if len(n.cfg.Seeds) == 0 || n.present.Load() != m {
		return // Node.join handles the end of a membership that it has begun
	}
	next, err := n.newMembership(topology.Config{Seeds: n.cfg.Seeds})
	if err != nil {
		n.log.Error("the node could not begin a new membership", zap.Error(err))
		return
	}
	m.cancel()
	if n.present.CompareAndSwap(m, next) {
		m.discard()
		n.begin(next)
	}
}

// random returns a new source of random numbers for the caller's use alone.
func (n *Node) random() *rand.Rand {
	n.mu.Lock()
	defer n.mu.Unlock()
	return topology.NewRandom(n.cfg.Random)
}
