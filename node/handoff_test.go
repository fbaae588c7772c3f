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
	"viakv/quorum/replica"
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

func (m *mesh) stopAll() {
	for i := range m.nodes {
		m.kill(i)
	}
}

// isolate cuts node i off from all others, or ends that cut.
func (m *mesh) isolate(i int, cut bool) {
	for j := range m.nodes {
		if j == i {
			continue
		}
		for _, way := range [][2]transport.Address{{m.address(i), m.address(j)}, {m.address(j), m.address(i)}} {
			if cut {
				m.net.Cut(way[0], way[1])
			} else {
				m.net.Heal(way[0], way[1])
			}
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

// ready returns a condition: node i is ready.
func (m *mesh) ready(i int) func() bool {
	return func() bool { return m.nodes[i].Ready(context.Background()) == nil }
}

// equal returns a condition: all given nodes hold the same records.
func (m *mesh) equal(nodes ...int) func() bool {
	return func() bool {
		for _, i := range nodes {
			if m.nodes[i].present.Load().state.Load().Store.Root() != m.nodes[nodes[0]].present.Load().state.Load().Store.Root() {
				return false
			}
		}
		return true
	}
}

func (m *mesh) set(i int, key, value string) {
	m.t.Helper()
	if _, err := m.nodes[i].Set(context.Background(), []byte(key), []byte(value), kv.Options{}); err != nil {
		m.t.Fatalf("set %s: %v", key, err)
	}
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

func key(i int) string { return fmt.Sprintf("key-%03d", i) }

func TestARestartedNodeIsRebuilt(t *testing.T) {
	inMesh(t, 3, func(m *mesh) {
		for i := range 300 {
			m.set(i%3, key(i), "v")
		}
		m.remove(1, key(0))
		for _, i := range []int{2, 0, 1} { // one after another, while the other two hold everything
			m.kill(i)
			m.set((i+1)%3, key(5), fmt.Sprint("while away ", i))
			m.start(i, m.seeds(3))
			m.until(30*time.Second, "it is ready again", m.ready(i))
			stats := m.nodes[i].present.Load().driver.Stats
			// The rebuild is counted a moment after the node serves.
			m.until(time.Second, "its rebuild is counted", func() bool { return stats().Rebuilds == 1 })
			if s := stats(); s.Received < 300 {
				t.Errorf("%+v", s)
			}
		}
		m.until(15*time.Second, "all are equal", m.equal(0, 1, 2))
		for i := range 3 {
			m.missing(i, key(0))
			m.wants(i, key(5), "while away 1")
			m.wants(i, key(299), "v")
		}
	})
}

func TestACutOffNodeCatchesUpByHints(t *testing.T) {
	inMesh(t, 3, func(m *mesh) {
		for i := range 100 {
			m.set(i%3, key(i), "old")
		}
		m.isolate(2, true)
		for i := range 50 {
			m.set(i%2, key(i), "new")
		}
		for i := 50; i < 60; i++ {
			m.remove(i%2, key(i))
		}
		time.Sleep(5 * time.Second) // writes that wait for the third node time out and become hints
		hints := 0
		for _, member := range append(m.nodes[0].Status().Members, m.nodes[1].Status().Members...) {
			hints += member.Hints
		}
		if hints < 60 {
			t.Errorf("%d hints for 60 missed keys", hints)
		}
		m.isolate(2, false)
		m.until(10*time.Second, "all are equal", m.equal(0, 1, 2))
		replayed := m.nodes[0].present.Load().driver.Stats().Replayed + m.nodes[1].present.Load().driver.Stats().Replayed
		if replayed == 0 {
			t.Error("no record was replayed")
		}
		m.wants(2, key(0), "new")
		m.missing(2, key(55))
	})
}

// Removed keys stay removed through hints, a purge and a rebuild. Their tombstones do not stay.
func TestTombstonesAreCollected(t *testing.T) {
	inMesh(t, 3, func(m *mesh) {
		for i := range 60 {
			m.set(i%3, key(i), "v")
		}
		m.isolate(2, true)
		for i := range 30 {
			m.remove(i%2, key(i)) // the third node still holds the values
		}
		time.Sleep(20 * time.Second)
		if s := m.nodes[0].Status(); s.Purge != 0 || s.Tombstones != 30 {
			t.Errorf("purge %d, %d tombstones while one member cannot be asked", s.Purge, s.Tombstones)
		}
		m.isolate(2, false)
		m.until(40*time.Second, "the tombstones are gone everywhere", func() bool {
			for i := range 3 {
				if m.nodes[i].Status().Tombstones != 0 {
					return false
				}
			}
			return true
		})
		if s := m.nodes[2].Status(); s.Purge == 0 || s.Keys != 30 {
			t.Errorf("purge %d, %d keys", s.Purge, s.Keys)
		}
		m.kill(1)
		m.start(1, m.seeds(3))
		m.until(30*time.Second, "it is ready again", m.ready(1))
		for i := range 30 {
			m.missing(i%3, key(i))
		}
		m.until(15*time.Second, "all are equal", m.equal(0, 1, 2))
	})
}

func TestAJoiningNodeCopiesEverything(t *testing.T) {
	inMesh(t, 3, func(m *mesh) {
		for i := range 200 {
			m.set(i%3, key(i), "v")
		}
		m.start(3, nil)
		m.until(10*time.Second, "the fourth is alone", m.ready(3))
		m.set(3, "its own", "comes along")
		if err := m.nodes[3].Join(context.Background(), string(m.address(1))); err != nil {
			t.Fatal(err)
		}
		m.until(15*time.Second, "all are equal", m.equal(0, 1, 2, 3))
		for i := range 4 {
			m.wants(i, key(77), "v")
			m.wants(i, "its own", "comes along")
		}
		if s := m.nodes[0].Status(); s.N != 4 || s.Unsettled != nil {
			t.Errorf("N %d, unsettled %+v", s.N, s.Unsettled)
		}
	})
}

// An epoch may end while a list of tombstones to hold is on its way. The list is not malformed
// then: its proposer is told the next epoch.
func TestAListThatAnEpochOvertakes(t *testing.T) {
	inMesh(t, 3, func(m *mesh) {
		for i := range 3 {
			m.until(10*time.Second, "all are ready", m.ready(i))
		}
		s, asker := m.nodes[1].present.Load().state.Load(), m.nodes[0].present.Load().state.Load()
		stamp := wire.Stamp{Cluster: uint64(s.topology.Cluster), Epoch: s.View.Epoch, To: s.Self, From: asker.Self}
		list := []replica.Tombstone{{Key: []byte("k"), Tag: version.Tag{Counter: 1, Incarnation: 1, Removed: true}}}
		s.Store.Advance(s.View.Epoch+1, s.View.Generation) // each epoch begins with this step
		body := m.nodes[1].server.Serve(context.Background(), nil, wire.AppendList(wire.AppendRequest(nil, wire.Purge, stamp), 9, list))
		if r, err := wire.ParseReply(body); err != nil || r.Status != wire.Stale {
			t.Errorf("%v, %v", r.Status, err)
		}
	})
}

func TestAJoiningNodeListsItself(t *testing.T) {
	inMesh(t, 3, func(m *mesh) {
		for i := range 200 {
			m.set(i%3, key(i), "v")
		}
		m.start(3, m.seeds(3))
		var listed *kv.Member
		m.until(10*time.Second, "the fourth lists itself as joining", func() bool {
			for _, row := range m.nodes[3].Status().Members {
				if row.State == "joining" {
					listed = &row
				}
			}
			return listed != nil
		})
		if listed.Name != m.name(3) || !listed.Reachable || listed.Sync == nil || listed.Incarnation == 0 {
			t.Errorf("%+v", listed)
		}
	})
}

func TestScansOverMembers(t *testing.T) {
	inMesh(t, 3, func(m *mesh) {
		const keys = 500
		for i := range keys {
			m.set(i%3, key(i), fmt.Sprint("v", i))
		}
		m.isolate(2, true)
		m.set(0, key(7), "the third missed this")
		m.remove(1, key(8))
		m.isolate(2, false)

		// read returns up to limit keys of a scan at one node, and the cursor behind them.
		read := func(at int, o kv.ScanOptions, limit int) (got map[string]string, cursor string, err error) {
			sc, err := m.nodes[at].Scan(context.Background(), o)
			if err != nil {
				return nil, "", err
			}
			defer sc.Close()
			got = map[string]string{}
			var b kv.Batch
			for limit > 0 {
				ok, err := sc.Next(context.Background(), &b)
				if err != nil || !ok {
					return got, "", err
				}
				n := min(limit, len(b.Pairs))
				for _, p := range b.Pairs[:n] {
					if _, twice := got[string(p.Key)]; twice {
						t.Errorf("%s came twice", p.Key)
					}
					got[string(p.Key)] = string(p.Value)
				}
				limit -= n
				cursor = sc.Cursor(n)
			}
			return got, cursor, nil
		}
		for at := range 3 {
			// A scan at any node shows the writes that the third node missed.
			got, _, err := read(at, kv.ScanOptions{Values: true}, 10*keys)
			if err != nil || len(got) != keys-1 || got[key(7)] != "the third missed this" || got[key(9)] != "v9" {
				t.Errorf("at %d: %v, %d keys, %q", at, err, len(got), got[key(7)])
			}
		}
		if got, _, err := read(1, kv.ScanOptions{Snapshot: true}, 10*keys); err != nil || len(got) != keys-1 {
			t.Errorf("snapshot: %v, %d keys", err, len(got))
		}
		// A cursor works at other nodes when the node that gave it is dead (C4), and a scan works
		// without a dead member.
		all := 0
		first, cursor, err := read(2, kv.ScanOptions{Values: true}, 100)
		if err != nil {
			t.Fatal(err)
		}
		all += len(first)
		m.kill(2)
		for at := 0; cursor != ""; at = 1 - at {
			var page map[string]string
			if page, cursor, err = read(at, kv.ScanOptions{Values: true, Cursor: cursor}, 100); err != nil {
				t.Fatal(err)
			}
			all += len(page)
		}
		if all != keys-1 {
			t.Errorf("%d keys on all pages, want %d", all, keys-1)
		}
		if _, _, err := read(0, kv.ScanOptions{Cursor: "AAAA"}, 1); !errors.Is(err, kv.ErrBadCursor) {
			t.Errorf("a forged cursor: %v", err)
		}
	})
}
