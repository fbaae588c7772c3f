package peer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"viakv/api/health"
	"viakv/api/kv"
	"viakv/handoff"
	"viakv/node/storage"
	"viakv/node/transport"
	"viakv/node/transport/simnet"
	"viakv/node/wire"
	"viakv/quorum"
	"viakv/quorum/lease"
	"viakv/quorum/replica"
	"viakv/quorum/version"
	"viakv/ring"
	"viakv/ring/keyspace"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	cluster    = 77
	firstEpoch = version.Epoch(5)
	timeout    = 2 * time.Second // of the requests of the coordinators
	term       = 100 * time.Millisecond
)

var seed = keyspace.Seed{7}

// world is a few members of one cluster on a simulated network. There is no topology: a test
// decides when an epoch begins, and at which members.
type world struct {
	t          *testing.T
	net        *simnet.Network
	nodes      []*member
	generation version.Generation
}

// member is one node: a membership, and a host and a coordinator around it.
type member struct {
	w *world
	i int
	*Membership
	store       *storage.Store
	server      *Server
	client      Client
	coordinator *quorum.Coordinator
	ctx         context.Context
	next        *Membership // the membership that a join would be preparing
	entering    sync.Mutex  // held by enter: calls of Next must not overlap

	sealedEpoch atomic.Uint64 // what the heartbeats of others have told
	caughtUp    atomic.Int32  // how often CatchUp was called
	catching    atomic.Int32  // how many calls of it are under way
	catchErr    atomic.Bool   // CatchUp fails

	mu           sync.Mutex
	who          health.Reach        // what WhoAnswers returns
	updatedPeers []transport.Address // the peers that UpdatePeer was called for
	updateErr    error               // what UpdatePeer returns instead of updating the peer
	fruitless    bool                // UpdatePeer returns nil, but does not update the peer
	learned      []string            // the documents that Learn was given
	held         []uint64            // the IDs of the lists that Hold was asked about
	missed       map[string]bool     // the members that have missed a key
	removes      []removal
	removing     error // what Remove returns instead of removing
	pending      bool  // this node is rebuilding
	barrier      *replica.Barrier
	stopping     bool
	slow         bool          // UpdatePeer returns only when its context ends
	updating     chan struct{} // UpdatePeer waits until it is closed; nil: it does not
	log          *zap.Logger
	maxBytes     int64
	figures      func() kv.Figures
	marker       lease.Marker
	clock        lease.Clock
	judging      func() // runs when Sealed is called; nil: nothing does
}

// removal is a remove that a member was asked to coordinate. It has the number of removes that the
// member counted as under way at that time.
type removal struct {
	kv.Options
	underway int64
}

// inWorld runs a test with n members that are at the first epoch, in virtual time.
func inWorld(t *testing.T, n int, test func(w *world), change ...func(*member)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, net: simnet.New(simnet.Config{Seed: 1}), generation: 1}
		ctx, stop := context.WithCancel(context.Background())
		for i := range n {
			m := &member{w: w, i: i, ctx: ctx, missed: map[string]bool{}, log: zap.NewNop()}
			for _, f := range change {
				f(m)
			}
			m.start()
			w.nodes = append(w.nodes, m)
		}
		synctest.Wait()
		w.begin(firstEpoch)
		test(w)
		stop()
		synctest.Wait()
		for _, m := range w.nodes {
			m.store.Close()
		}
	})
}

func (m *member) start() {
	var err error
	if m.store, err = storage.New(storage.Config{Seed: seed, MaxBytes: m.maxBytes}); err != nil {
		m.w.t.Fatal(err)
	}
	m.server = NewServer(m, zap.NewNop())
	t := m.w.net.Node(m.address(), m.server)
	go func() {
		if err := t.Run(m.ctx); err != nil {
			m.w.t.Error(err)
		}
	}()
	m.Membership = NewMembership(Config{Host: m, Transport: t, Logger: m.log, MaxBytes: m.maxBytes, Figures: m.figures, Clock: m.clock, Marker: m.marker})
	m.coordinator = quorum.New(quorum.Config{Views: m, Peers: m.client, Hints: m, Timeout: timeout, HedgeAfter: 3 * time.Millisecond, Full: Full})
}

func (m *member) name() string                     { return "n" + string(rune('1'+m.i)) }
func (m *member) address() transport.Address       { return transport.Address(m.name() + ":1") }
func (m *member) incarnation() version.Incarnation { return version.Incarnation(100 + m.i) }

// begin makes an epoch the present one at the given nodes, or at all nodes when none is given.
func (w *world) begin(e version.Epoch, nodes ...int) {
	for i, m := range w.nodes {
		if len(nodes) == 0 || slices.Contains(nodes, i) {
			m.enter(e)
		}
	}
}

// enter begins an epoch at a member as its node does: the store first (N1).
func (m *member) enter(e version.Epoch) {
	m.entering.Lock()
	defer m.entering.Unlock()
	next := m.Next(m.view(e), m.store, m.incarnation())
	m.store.Advance(e, m.w.generation)
	m.Enter(next)
}

func (m *member) view(e version.Epoch) replica.View {
	n := len(m.w.nodes)
	v := replica.View{
		Epoch: e, Generation: m.w.generation, R: n/2 + 1, W: n/2 + 1, Seed: seed, Slots: n, Self: m.i,
		Cluster: cluster, CursorKey: [16]byte{1}, Settled: true, Leases: true, Term: term, Barrier: m.barrier,
	}
	var names []string
	for _, o := range m.w.nodes {
		row := replica.Member{Name: o.name(), Address: string(o.address()), Incarnation: o.incarnation()}
		if o.pending {
			row.Incarnation, row.Pending = 0, o.incarnation()
		}
		names, v.Members = append(names, o.name()), append(v.Members, row)
	}
	v.Ring = ring.Build(names)
	return v
}

// Current implements replica.Views.
func (m *member) Current() *replica.View { return &m.present.Load().View }

// Miss implements quorum.Hints.
func (m *member) Miss(name string, _ version.Incarnation, _ []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.missed[name] = true
}

// CatchUp implements Host: after 10 ms this member holds what the other one holds.
func (m *member) CatchUp(_ context.Context, v *replica.View, member *replica.Member) (err error) {
	m.caughtUp.Add(1)
	if m.catching.Add(1) > 1 {
		m.w.t.Error("it catches up with two members at a time")
	}
	defer m.catching.Add(-1)
	time.Sleep(10 * time.Millisecond)
	if m.catchErr.Load() {
		return errors.New("cut off")
	}
	for _, o := range m.w.nodes {
		if o.name() != member.Name {
			continue
		}
		_, _ = o.store.Walk(v.Epoch, keyspace.All(), nil, func(e replica.Entry) bool {
			_, err = m.store.Put(v.Epoch, seed.Hash(e.Key), e.Key, &e.Record)
			return err == nil
		})
	}
	return err
}

// Sealed implements Host.
func (m *member) Sealed() version.Epoch {
	if m.judging != nil {
		m.judging()
	}
	return version.Epoch(m.sealedEpoch.Load())
}

// LearnSealed implements Host.
func (m *member) LearnSealed(e version.Epoch) { m.sealedEpoch.Store(uint64(e)) }

// Memberships implements Node.
func (m *member) Memberships() (present, next *Membership) { return m.Membership, m.next }

// Control implements Node.
func (m *member) Control(_ context.Context, dst, _ []byte) []byte { return append(dst, "control"...) }

// UpdatePeer implements Host: the peer enters this node's epoch 10 ms later.
func (m *member) UpdatePeer(ctx context.Context, to transport.Address) error {
	m.mu.Lock()
	m.updatedPeers = append(m.updatedPeers, to)
	err, fruitless := m.updateErr, m.fruitless
	m.mu.Unlock()
	if m.slow {
		<-ctx.Done()
	}
	if m.updating != nil {
		<-m.updating
	}
	select {
	case <-time.After(10 * time.Millisecond):
	case <-ctx.Done():
		return ctx.Err()
	}
	if err != nil || fruitless {
		return err
	}
	for _, o := range m.w.nodes {
		if e := m.present.Load().View.Epoch; o.address() == to && o.present.Load().View.Epoch < e {
			o.enter(e)
		}
	}
	return nil
}

// WhoAnswers implements Host.
func (m *member) WhoAnswers(context.Context, string) health.Reach {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.who
}

// finds makes WhoAnswers return a reach from now on.
func (m *member) finds(who health.Reach) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.who = who
}

// Learn implements Host.
func (m *member) Learn(document []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.learned = append(m.learned, string(document))
}

// Document implements Host.
func (m *member) Document() []byte { return fmt.Append(nil, "epoch ", m.present.Load().View.Epoch) }

// Remove implements Host.
func (m *member) Remove(ctx context.Context, key []byte, o kv.Options) error {
	m.mu.Lock()
	m.removes = append(m.removes, removal{o, m.server.Coordinated()})
	err := m.removing
	m.mu.Unlock()
	if err != nil {
		return err
	}
	return m.coordinator.RemoveHere(ctx, key, o)
}

// Hold implements Host: the member holds the lists whose ID is even.
func (m *member) Hold(list *handoff.List) (bool, error) {
	if list.At != m.present.Load().View.Epoch {
		return false, replica.ErrEpoch
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.held = append(m.held, list.ID)
	return list.ID%2 == 0, nil
}

// Go implements Host.
func (m *member) Go(f func(ctx context.Context)) bool {
	if m.stopping {
		return false
	}
	go f(m.ctx)
	return true
}

// put stores a record at this member only.
func (m *member) put(key string, counter uint64, value string) version.Record {
	m.w.t.Helper()
	r := version.Record{Tag: version.Tag{Generation: m.w.generation, Counter: counter, Incarnation: 9}, Value: []byte(value)}
	if _, err := m.store.Put(m.present.Load().View.Epoch, seed.Hash([]byte(key)), []byte(key), &r); err != nil {
		m.w.t.Fatal(err)
	}
	return r
}

// holds returns the value of a key that this member holds, or an empty string when it holds none.
func (m *member) holds(key string) string {
	m.w.t.Helper()
	r, _, err := m.store.Get(m.present.Load().View.Epoch, seed.Hash([]byte(key)), []byte(key), nil)
	if err != nil {
		m.w.t.Fatal(err)
	}
	return string(r.Value)
}

// stamp returns the stamp of a request of the first member to the second one, at the given epoch.
func (w *world) stamp(e version.Epoch) wire.Stamp {
	return wire.Stamp{Cluster: cluster, Epoch: e, To: w.nodes[1].incarnation(), From: w.nodes[0].incarnation()}
}

// inline has the second member answer a request in place, and checks the reply's status.
func (w *world) inline(want wire.Status, request []byte) wire.Reply {
	w.t.Helper()
	b, ok := w.nodes[1].server.ServeInline(nil, request)
	if !ok {
		w.t.Errorf("the request is not answered in place")
		return wire.Reply{}
	}
	return w.reply(want, b)
}

// serve has the second member's Serve answer a request, and checks the reply's status.
func (w *world) serve(want wire.Status, request []byte) wire.Reply {
	w.t.Helper()
	return w.reply(want, w.nodes[1].server.Serve(context.Background(), nil, request))
}

func (w *world) reply(want wire.Status, b []byte) wire.Reply {
	w.t.Helper()
	r, err := wire.ParseReply(b)
	if err != nil || r.Status != want {
		w.t.Errorf("%v %v, want %v", r.Status, err, want)
	}
	return r
}

// answers gives an address to another process, which answers every request as f does.
func (w *world) answers(at transport.Address, f scripted) {
	t := w.net.Node(at, f)
	go func() { _ = t.Run(w.nodes[0].ctx) }()
	synctest.Wait()
}

// scripted is a handler that answers every request in place.
type scripted func(request []byte) []byte

func (f scripted) ServeInline(dst, request []byte) ([]byte, bool) {
	return append(dst, f(request)...), true
}

func (f scripted) Serve(_ context.Context, dst, request []byte) []byte {
	return append(dst, f(request)...)
}

func (f scripted) Refuse(dst, _ []byte) []byte { return dst }

// soon returns a context that ends after ten seconds, because a member that is cut off never
// answers.
func (w *world) soon() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	w.t.Cleanup(cancel)
	return ctx
}

// through replaces the first member's transport by one that the test observes.
func (w *world) through() *way {
	t := &w.nodes[0].cfg.Transport
	seen := &way{Transport: *t}
	*t = seen
	return seen
}

// way is a transport that notes how requests are sent.
type way struct {
	transport.Transport

	mu     sync.Mutex
	unsent transport.Address // no request to this address leaves the node
	calls  []sending
	look   func(*transport.Call) // is shown each call before it is sent; nil: nobody looks
}

// stop lets no request to an address leave the node from now on. An empty address stops none.
func (y *way) stop(to transport.Address) {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.unsent = to
}

// sent returns how many requests of a kind have been sent so far.
func (y *way) sent(op wire.Op) (n int) {
	y.mu.Lock()
	defer y.mu.Unlock()
	for i := range y.calls {
		if y.calls[i].op == op {
			n++
		}
	}
	return n
}

// sending is how one request was sent.
type sending struct {
	op     wire.Op
	class  transport.Class
	urgent bool
}

func (y *way) Go(to transport.Address, class transport.Class, call *transport.Call) {
	y.mu.Lock()
	y.calls = append(y.calls, sending{wire.Op(call.Request[0]), class, call.Urgent})
	unsent, look := to == y.unsent, y.look
	y.mu.Unlock()
	if look != nil {
		look(call)
	}
	if !unsent {
		y.Transport.Go(to, class, call)
		return
	}
	call.Err = transport.ErrNotSent
	call.Done.Complete(call)
}

// owned returns a key that a member owns on the ring.
func (w *world) owned(by int) string {
	for i := 0; ; i++ {
		key := fmt.Sprint("owned", i)
		if w.nodes[0].Current().Ring.Owner(seed.Hash([]byte(key)).Partition()) == by {
			return key
		}
	}
}

// outcome returns what an error says of the request's effect, or an empty string when it says
// nothing.
func outcome(err error) string {
	var u *kv.Unavailable
	if errors.As(err, &u) {
		return u.Outcome.String()
	}
	return ""
}
