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

	"viakv/node/peer"
	"viakv/node/topology"
	"viakv/node/transport"
	"viakv/node/wire"
	"viakv/quorum"
	"viakv/quorum/replica"
	"viakv/quorum/scan"
)

// Node is one running replica. It is the kv.Store and the kv.Cluster of the HTTP API.
type Node struct {
	cfg         Config
	log         *zap.Logger
	transport   transport.Transport
	coordinator *quorum.Coordinator
	scans       *scan.Scans
	client      *peer.Client
	server      *peer.Server
	inflight    atomic.Int64 // requests of clients that are under way
	draining    atomic.Bool  // the node stops soon, and does everything until then

	started chan struct{}   // closed once Run runs
	ctx     context.Context // of Run; set before started is closed

	stop     sync.Mutex     // guards stopping, and running against additions while Run waits for it
	stopping bool           // nothing begins any more
	running  sync.WaitGroup // what the lives started

	present atomic.Pointer[membership] // the present one
	next    atomic.Pointer[membership] // the one that a join is preparing

	joining sync.Mutex  // held by a join of this node
	frozen  atomic.Bool // between two lives: nobody is served

	seeds   sync.Mutex // guards cfg.Random and what follows
	retired []*membership
	closed  bool // Run has freed the lives' memory: whoever retires one later frees it
}

// New returns a node that does nothing yet.
func New(cfg Config) (*Node, error) {
	if err := cfg.Validate(); err != nil {
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
	n.client = peer.NewClient(n.inflight.Load)
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

// Run serves until ctx ends, and returns when everything that it started has stopped.
//
// The stop order: first what this node coordinates for its peers, since only it can tell them what
// came of that; then the lives, so that nothing new is asked of peers; then the transport, which
// ends what is under way.
func (n *Node) Run(stopped context.Context) error {
	ctx, cancel := context.WithCancel(context.WithoutCancel(stopped))
	defer cancel()
	n.ctx = ctx
	close(n.started)
	carrier, stop := context.WithCancel(context.WithoutCancel(ctx))
	carried := make(chan error, 1)
	go func() { carried <- n.transport.Run(carrier) }()

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
	n.seeds.Lock()
	defer n.seeds.Unlock()
	n.closed = true
	for _, m := range append(n.retired, n.present.Load()) {
		m.close()
	}
	return err
}

// spawn runs f in a goroutine that Run waits for; false when the node is stopping.
func (n *Node) spawn(f func()) bool {
	n.stop.Lock()
	defer n.stop.Unlock()
	if n.stopping {
		return false
	}
	n.running.Go(f)
	return true
}

// retire notes a life whose memory is freed at the latest when the node stops.
func (n *Node) retire(m *membership) {
	n.seeds.Lock()
	defer n.seeds.Unlock()
	if n.closed {
		m.close()
		return
	}
	n.retired = append(n.retired, m)
}

// free frees the memory of a retired life.
func (n *Node) free(m *membership) {
	m.close()
	n.seeds.Lock()
	defer n.seeds.Unlock()
	n.retired = slices.DeleteFunc(n.retired, func(r *membership) bool { return r == m })
}

// quiesce turns requests away and waits for those under way, which their deadlines bound: a store
// must not be used once it is closed.
func (n *Node) quiesce() {
	n.frozen.Store(true)
	for n.inflight.Load() > 0 {
		time.Sleep(time.Millisecond)
	}
}

// begin runs a life until it or the node ends. One that begins when the node is stopping is over at
// once.
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

// startOver gives a node with seeds another life when the cluster that it was about to enter does
// not go on with it.
func (n *Node) startOver(m *membership) {
	if len(n.cfg.Seeds) == 0 || n.present.Load() != m {
		return // the join of a node without seeds has its own end
	}
	next, err := n.newMembership(topology.Config{Seeds: n.cfg.Seeds})
	if err != nil {
		n.log.Error("the node cannot start over", zap.Error(err))
		return
	}
	m.cancel()
	if n.present.CompareAndSwap(m, next) {
		m.discard()
		n.begin(next)
	}
}

// random returns a new source of random numbers that nobody shares.
func (n *Node) random() *rand.Rand {
	n.seeds.Lock()
	defer n.seeds.Unlock()
	return topology.NewRandom(n.cfg.Random)
}

// Current returns the view that requests run at, nil while this node serves nobody.
func (n *Node) Current() *replica.View {
	if n.frozen.Load() {
		return nil
	}
	return n.present.Load().view()
}

// answering is what the server of peers asks of the node.
type answering struct{ *Node }

// Memberships implements peer.Node. The next life is looked at first: it becomes the present one
// before it ceases to be the next (move), so that it is always found as one of them.
func (n answering) Memberships() (present, next *peer.Membership) {
	if m := n.next.Load(); m != nil {
		next = m.peers
	}
	return n.present.Load().peers, next
}

// Control implements peer.Node: it passes a message about the topology to the life that it is meant
// for.
func (n answering) Control(ctx context.Context, dst, request []byte) []byte {
	c, err := wire.ParseControl(request)
	if next := n.next.Load(); err == nil && next != nil && c.To == next.id.BootID {
		return next.manager.Serve(ctx, dst, request)
	}
	return n.present.Load().manager.Serve(ctx, dst, request)
}
