package node

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"viakv/api/kv"
	"viakv/node/transport"
	"viakv/node/transport/simnet"
	"viakv/node/wire"
	"viakv/quorum/version"
)

// mesh is a few whole nodes on a simulated network, in the virtual time of a bubble of
// testing/synctest.
type mesh struct {
	t     *testing.T
	net   *simnet.Network
	nodes []*Node
	stops []func()
	boots uint64
	log   func(i int) *zap.Logger // returns the log of a node; nil: none is kept
}

// inMesh runs a test on n nodes that have formed a cluster.
func inMesh(t *testing.T, n int, test func(m *mesh)) {
	t.Helper()
	inLoggedMesh(t, n, func(int) *zap.Logger { return nil }, test)
}

// inLoggedMesh is inMesh with a log for each node.
func inLoggedMesh(t *testing.T, n int, log func(i int) *zap.Logger, test func(m *mesh)) {
	t.Helper()
	inMeshOver(t, n, simnet.Config{Seed: 1}, log, test)
}

// inUnevenMesh is inMesh over a network whose delays differ widely, so that nodes reach an epoch at
// different times.
func inUnevenMesh(t *testing.T, n int, test func(m *mesh)) {
	t.Helper()
	inMeshOver(t, n, simnet.Config{Seed: 1, Delay: func(r *rand.Rand) time.Duration {
		return 200*time.Microsecond + time.Duration(r.Int64N(int64(12*time.Millisecond)))
	}}, func(int) *zap.Logger { return nil }, test)
}

// inMeshOver is inMesh over a given network, with a log for each node.
func inMeshOver(t *testing.T, n int, net simnet.Config, log func(i int) *zap.Logger, test func(m *mesh)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		m := &mesh{t: t, net: simnet.New(net), log: log}
		defer m.stopAll()
		seeds := m.seeds(n)
		for i := range n {
			m.start(i, seeds)
		}
		for i := range n {
			m.until(30*time.Second, fmt.Sprintf("node %d is ready", i), m.ready(i))
		}
		test(m)
	})
}

func (m *mesh) seeds(n int) (out []transport.Address) {
	for i := range n {
		out = append(out, m.address(i))
	}
	return out
}

func (m *mesh) name(i int) string               { return "node" + string("abcdefghijklmnopqrstuvwxyzABCDEFG"[i]) }
func (m *mesh) address(i int) transport.Address { return transport.Address(m.name(i) + ":1") }

// start starts node i with an empty memory. Each change may edit its configuration.
func (m *mesh) start(i int, seeds []transport.Address, change ...func(*Config)) {
	m.t.Helper()
	m.boots++
	c := Config{
		Name: m.name(i), Peer: m.address(i), Seeds: seeds, Logger: m.log(i), Random: rand.New(rand.NewPCG(7, m.boots)),
		NewTransport: func(h transport.Handler) (transport.Transport, error) { return m.net.Node(m.address(i), h), nil },
	}
	for _, f := range change {
		f(&c)
	}
	n, err := New(c)
	if err != nil {
		m.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	for len(m.nodes) <= i {
		m.nodes, m.stops = append(m.nodes, nil), append(m.stops, nil)
	}
	m.nodes[i] = n
	m.stops[i] = func() {
		cancel()
		if err := <-done; err != nil {
			m.t.Error(err)
		}
	}
}

// kill takes a node off the network at once and stops it, so that its memory is lost.
func (m *mesh) kill(i int) {
	m.net.Kill(m.address(i))
	if stop := m.stops[i]; stop != nil {
		m.stops[i] = nil
		stop()
	}
}

// stop stops a node in the planned way.
func (m *mesh) stop(i int) {
	stop := m.stops[i]
	m.stops[i] = nil
	stop()
}

func (m *mesh) stopAll() {
	for i := range m.nodes {
		m.kill(i)
	}
}

// cut cuts the ways between two nodes, in both directions.
func (m *mesh) cut(i, j int) {
	m.net.Cut(m.address(i), m.address(j))
	m.net.Cut(m.address(j), m.address(i))
}

// isolate cuts node i off from all others, or ends that cut.
func (m *mesh) isolate(i int, cut bool) {
	for j := range m.nodes {
		switch {
		case j == i:
		case cut:
			m.cut(i, j)
		default:
			m.net.Heal(m.address(i), m.address(j))
			m.net.Heal(m.address(j), m.address(i))
		}
	}
}

// until waits in virtual time until cond holds, and fails the test when it does not within the
// given time.
func (m *mesh) until(within time.Duration, what string, cond func() bool) {
	m.t.Helper()
	for end := time.Now().Add(within); !cond(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			m.t.Fatalf("not within %v: %s", within, what)
		}
	}
}

// state returns what node i is at the present epoch.
func (m *mesh) state(i int) *state { return m.nodes[i].present.Load().state.Load() }

// ready returns a condition: node i is ready.
func (m *mesh) ready(i int) func() bool {
	return func() bool { return m.nodes[i].Ready(context.Background()) == nil }
}

// shows returns a condition: node i shows n members, active or not.
func (m *mesh) shows(i, n int) func() bool {
	return func() bool { return len(m.nodes[i].Status().Members) == n }
}

// equal returns a condition: all given nodes hold the same records.
func (m *mesh) equal(nodes ...int) func() bool {
	return func() bool {
		for _, i := range nodes {
			if m.state(i).Store.Root() != m.state(nodes[0]).Store.Root() {
				return false
			}
		}
		return true
	}
}

// collected reports whether no node holds a tombstone.
func (m *mesh) collected() bool {
	for i := range m.nodes {
		if m.nodes[i].Status().Tombstones != 0 {
			return false
		}
	}
	return true
}

func (m *mesh) set(i int, key, value string) {
	m.t.Helper()
	if _, err := m.nodes[i].Set(context.Background(), []byte(key), []byte(value), kv.Options{}); err != nil {
		m.t.Fatalf("set %s: %v", key, err)
	}
}

// withoutLeases waits until the nodes, which are asked for nothing, have given their leases back. A
// test that puts records into stores by hand calls it first: a node that answers alone would not
// know of them.
func (m *mesh) withoutLeases() {
	m.t.Helper()
	m.until(10*time.Second, "no node holds a lease", func() bool {
		for _, n := range m.nodes {
			if len(n.Current().Given.Names()) > 0 {
				return false
			}
		}
		return true
	})
}

// remove removes a key. It repeats a remove whose outcome is unknown, as it may be when the key's
// owner has become silent a moment before.
func (m *mesh) remove(i int, key string) {
	m.t.Helper()
	for {
		err := m.nodes[i].Remove(context.Background(), []byte(key), kv.Options{})
		if err == nil || errors.Is(err, kv.ErrMissing) {
			return
		}
		if !errors.Is(err, kv.ErrUnavailable) {
			m.t.Fatalf("remove %s: %v", key, err)
		}
	}
}

func (m *mesh) wants(i int, key, value string) {
	m.t.Helper()
	v, _, err := m.nodes[i].Get(context.Background(), nil, []byte(key), kv.Options{})
	if err != nil || string(v) != value {
		m.t.Errorf("get %s at %d: %q %v, want %q", key, i, v, err, value)
	}
}

func (m *mesh) missing(i int, key string) {
	m.t.Helper()
	if _, err := m.nodes[i].Has(context.Background(), []byte(key), kv.Options{}); !errors.Is(err, kv.ErrMissing) {
		m.t.Errorf("has %s at %d: %v, want it missing", key, i, err)
	}
}

// alone starts node i, which founds a cluster of one.
func (m *mesh) alone(i int) {
	m.t.Helper()
	m.start(i, nil)
	m.until(10*time.Second, fmt.Sprint(m.name(i), " is alone"), m.ready(i))
}

// join makes node i join the mesh of node via, and returns the answer.
func (m *mesh) join(ctx context.Context, i, via int) error {
	return m.nodes[i].Join(ctx, string(m.address(via)))
}

// joining is join in a goroutine of its own.
func (m *mesh) joining(ctx context.Context, i, via int) <-chan error {
	joined := make(chan error, 1)
	go func() { joined <- m.join(ctx, i, via) }()
	return joined
}

// joins makes node i a member of the mesh of node via.
func (m *mesh) joins(i, via int) {
	m.t.Helper()
	if err := m.join(context.Background(), i, via); err != nil {
		m.t.Fatal(err)
	}
}

// leaves takes a node out of the mesh, through another node.
func (m *mesh) leaves(asked, leaver int) {
	m.t.Helper()
	if _, err := m.nodes[asked].Leave(context.Background(), m.name(leaver), false); err != nil {
		m.t.Fatal(err)
	}
}

// restarts kills a node and starts it again with an empty memory.
func (m *mesh) restarts(i int) {
	m.t.Helper()
	n := len(m.nodes)
	m.kill(i)
	m.start(i, m.seeds(n))
	m.until(30*time.Second, fmt.Sprint(m.name(i), " is ready again"), m.ready(i))
}

// leaderAndFollowers returns the leader of the consensus group and two other nodes. In a mesh of
// four, two of the three nodes that stay after a leave can agree on it without the third.
func (m *mesh) leaderAndFollowers() (leader, one, other int) {
	m.t.Helper()
	m.until(10*time.Second, "all know one leader", func() bool {
		for i := range m.nodes {
			if m.nodes[i].Status().Leader != m.nodes[0].Status().Leader {
				return false
			}
		}
		return m.nodes[0].Status().Leader != ""
	})
	for i := range m.nodes {
		if m.name(i) == m.nodes[0].Status().Leader {
			leader = i
		}
	}
	return leader, (leader + 1) % len(m.nodes), (leader + 2) % len(m.nodes)
}

// lists reports whether a node shows another one as an active member.
func (m *mesh) lists(at, other int) bool {
	for _, member := range m.nodes[at].Status().Members {
		if member.Name == m.name(other) && member.State == "active" {
			return true
		}
	}
	return false
}

// stored puts a record into the stores of some nodes, as a write does that the other nodes have
// missed and for which there is no hint.
func (m *mesh) stored(key, value string, nodes ...int) {
	m.t.Helper()
	first := m.state(nodes[0])
	tag := version.Tag{Counter: first.View.Counter.Take().N, Incarnation: first.Self}
	for _, i := range nodes {
		m.state(i).put(m.t, key, version.Record{Tag: tag, Value: []byte(value)})
	}
}

// put stores a record directly in a node's store.
func (s *state) put(t testing.TB, key string, r version.Record) {
	t.Helper()
	if _, err := s.Store.Put(s.View.Epoch, s.View.Seed.Hash([]byte(key)), []byte(key), &r); err != nil {
		t.Fatal(err)
	}
}

// request returns the header of a request of one node to another one, at the receiver's epoch.
func request(op wire.Op, from, to *state) []byte {
	return wire.AppendRequest(nil, op, wire.Stamp{Cluster: to.View.Cluster, Epoch: to.View.Epoch, To: to.Self, From: from.Self})
}

// inline has a node answer a request in place, and checks the status of its reply.
func (m *mesh) inline(at int, want wire.Status, request []byte) {
	m.t.Helper()
	b, ok := m.nodes[at].server.ServeInline(nil, request)
	if r, err := wire.ParseReply(b); !ok || err != nil || r.Status != want {
		m.t.Errorf("%v %v %v, want %v", ok, r.Status, err, want)
	}
}

// endedWith reports whether err says that the node could not carry out a request, with this
// outcome.
func endedWith(err error, outcome kv.Outcome) bool {
	u, ok := errors.AsType[*kv.Unavailable](err)
	return ok && u.Outcome == outcome
}

func key(i int) string { return fmt.Sprintf("key-%03d", i) }
