package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"viakv/api/health"
	"viakv/api/kv"
	"viakv/api/sleep"
	"viakv/handoff"
	"viakv/node/peer"
	"viakv/node/storage"
	"viakv/node/topology"
	"viakv/node/transport"
	"viakv/node/wire"
	"viakv/quorum/replica"
	"viakv/quorum/version"
	"viakv/quorum/version/rule"
	"viakv/quorum/watermark"
	"viakv/ring"
)

// membership is one stay of this process in one cluster, with a boot ID, a store and a counter of
// its own.
type membership struct {
	node      *Node
	log       *zap.Logger
	id        topology.Identity
	manager   *topology.Manager
	peerSide  *peer.Membership // the membership as its peers meet it
	importing int64            // bytes of the keys that the node imports once it has joined; 0: none
	// imported is a number that stays open until the node has imported its keys. It is below the
	// numbers that these keep, so no watermark passes one of them before that (L6). Nil: no import.
	imported *watermark.Open
	limit    peer.Notice // what the log has said of this node's memory limit
	warned   atomic.Bool // the log has said that the limit is below what another member holds

	driver *handoff.Driver

	ctx     context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup
	over    chan struct{} // closed when the manager has ended
	err     error         // why the manager ended; valid once over is closed; nil when it was stopped

	state   atomic.Pointer[state] // nil before the membership belongs to a cluster
	first   chan struct{}         // closed with the first state
	purged  purges
	closing sync.Once
}

// state is a membership at one epoch: how its peers meet it, and what it is in the topology. It is
// immutable.
type state struct {
	*peer.Epoch
	topology *topology.Topology
	role     topology.Role
}

// newMembership returns a membership that belongs to no cluster yet. The seeds or the peer in cfg
// lead it to its cluster.
func (n *Node) newMembership(cfg topology.Config) (*membership, error) {
	m := &membership{
		node: n, log: n.log,
		id:   topology.Identity{Name: n.cfg.Name, HTTP: n.cfg.HTTP, Peer: n.cfg.Peer, BootID: topology.NewBootID(n.random())},
		over: make(chan struct{}), first: make(chan struct{}),
	}
	cfg.Memory, cfg.Fits, cfg.Stopping = m.memory, m.fits, n.draining.Load
	cfg.Self, cfg.Host, cfg.Transport, cfg.Logger, cfg.Random = m.id, m, n.transport, n.log, n.random()
	cfg.Expect, cfg.Resolve, cfg.Addresses = n.cfg.Expect, n.cfg.Resolve, n.cfg.Addresses
	cfg.ReadQuorum, cfg.WriteQuorum, cfg.AllowWeak = n.cfg.ReadQuorum, n.cfg.WriteQuorum, n.cfg.AllowWeak
	cfg.Reads, cfg.Lease = n.cfg.Reads, n.cfg.Lease
	var err error
	m.peerSide = peer.NewMembership(peer.Config{Host: host{m}, Transport: n.transport, Logger: n.log, MaxBytes: n.cfg.MaxBytes, Figures: n.cfg.Figures, Clock: n.cfg.Clock, Marker: n.cfg.Marker})
	if m.manager, err = topology.New(cfg); err != nil {
		return nil, err
	}
	if m.driver, err = m.newDriver(); err != nil {
		return nil, err
	}
	return m, nil
}

// run runs the membership until ctx ends or the cluster goes on without this node.
func (m *membership) run(ctx context.Context) {
	for _, work := range []func(context.Context){m.driver.Run, m.watchMemory, m.beat, m.holdLeases} {
		m.running.Go(func() {
			select {
			case <-m.first:
				work(ctx)
			case <-ctx.Done():
			}
		})
	}
	m.err = m.manager.Run(ctx)
	if ctx.Err() != nil {
		m.err = nil
	}
	if m.err != nil {
		m.log.Warn("the node is no longer part of a cluster", zap.Error(m.err))
	}
	close(m.over)
	if errors.Is(m.err, topology.ErrForgotten) || errors.Is(m.err, topology.ErrAbandoned) {
		m.node.startOver(m)
	}
}

// holdLeases holds leases of the other members, at one epoch after another.
func (m *membership) holdLeases(ctx context.Context) {
	for ctx.Err() == nil && !m.peerSide.Sealed() {
		m.state.Load().HoldLeases(ctx)
	}
}

// end stops the membership and waits until it has stopped.
func (m *membership) end() {
	m.cancel()
	m.running.Wait()
	m.discard()
}

// discard frees the store of a membership that is over, storeGrace after it has stopped: until then
// an answer to a peer may still use the store. If the node stops first, Run frees the store.
func (m *membership) discard() {
	n := m.node
	n.retire(m)
	n.spawn(func() {
		m.running.Wait()
		if sleep.For(n.ctx, storeGrace) {
			n.free(m)
		}
	})
}

// storeGrace is longer than any answer to a peer takes.
const storeGrace = 10 * time.Second

// close frees the memory of the membership. No answer may be under way.
func (m *membership) close() {
	m.closing.Do(func() {
		if s := m.state.Load(); s != nil {
			s.Store.Close()
		}
	})
}

// Close makes the membership refuse everything from now on, at whatever epoch. The topology manager
// calls it when the membership is over or the node stops, before it tells others that this process
// has nothing more to say. The others take that as the promise that nothing completes here (M5).
func (m *membership) Close() { m.peerSide.Seal() }

// Quiet implements topology.Host.
func (m *membership) Quiet(at version.Epoch) time.Duration { return m.peerSide.Quiet(at) }

// Term implements topology.Host.
func (m *membership) Term() time.Duration { return m.peerSide.Term() }

// Current returns the view of the present epoch. It is nil when there is none, and once the
// membership refuses everything.
func (m *membership) Current() *replica.View {
	if s := m.state.Load(); s != nil && !m.peerSide.Sealed() {
		return &s.View
	}
	return nil
}

// Adopt makes t the epoch at which this membership serves (N1, N4). The topology manager calls it
// for one epoch after another.
func (m *membership) Adopt(t *topology.Topology) {
	old := m.state.Load()
	if old != nil && t.Epoch <= old.topology.Epoch {
		return
	}
	role, self := t.Role(m.id.BootID)
	var store *storage.Store
	if old == nil {
		store = m.newStore(t)
	} else {
		store = old.Store
	}
	s := &state{Epoch: m.peerSide.Next(m.newView(t, role), store, self), topology: t, role: role}

	store.Advance(t.Epoch, t.Generation)
	m.purge(s, old)
	// Clients are served at the new epoch before peers are: a peer's request may need what the
	// driver knows of that epoch.
	m.state.Store(s)
	m.peerSide.Enter(s.Epoch)
	if old == nil {
		close(m.first)
	}
}

func (m *membership) newStore(t *topology.Topology) *storage.Store {
	store, err := storage.New(storage.Config{Seed: t.Seed, DigestKey: t.DigestKey, MaxBytes: m.node.cfg.MaxBytes, HugePages: m.node.cfg.HugePages})
	if err != nil {
		panic(fmt.Sprintf("node: a store with a validated configuration: %v", err))
	}
	return store
}

// newView returns the view of t, without what peer.Membership.Next adds to it.
func (m *membership) newView(t *topology.Topology, role topology.Role) replica.View {
	v := replica.View{
		Epoch: t.Epoch, Generation: t.Generation, Cleared: t.Cleared, Purge: t.Purge, Resized: t.Resized, R: t.R(), W: t.W(), Seed: t.Seed,
		Cluster: uint64(t.Cluster), CursorKey: t.CursorKey,
		Slots: t.N(), Self: -1, Ring: ring.Build(t.Names()), Settled: t.Change == nil && t.Joining == nil,
		Leases: t.Reads == kv.ReadsLease, Term: t.Lease,
		Purged: func(after uint64, key []byte) (version.Tag, bool) {
			return m.purged.highest(after, t.Purge, t.Seed.Hash(key))
		},
	}
	for i := range t.Slots {
		slot := &t.Slots[i]
		if slot.BootID == m.id.BootID {
			v.Self = i
		}
		v.Members = append(v.Members, replica.Member{
			Name: slot.Name, Address: string(slot.Peer), Incarnation: slot.Incarnation, Pending: slot.Pending, Since: slot.Since,
		})
	}
	if c := t.Joining; c != nil {
		if c.BootID == m.id.BootID {
			v.Self = t.N()
		}
		v.Members = append(v.Members, replica.Member{Name: c.Name, Address: string(c.Peer), Pending: c.Pending, Since: c.Since})
	}
	if role == topology.Rebuilding || role == topology.Joining {
		v.Need, _ = t.RebuildNeed(m.id.BootID)
		if rule.Broken(rule.EnoughCopies) {
			v.Need = 1
		}
	}
	if c := t.Change; c != nil && role == topology.Active && slices.Contains(c.Owe, m.id.Name) {
		v.Barrier = &replica.Barrier{Change: c.Epoch, From: c.From, Need: barrierNeed(c), Joined: c.Joined == m.id.Name}
	}
	return v
}

// answering implements peer.Node, through which the peer server reaches the memberships of the
// node.
type answering struct{ *Node }

// Memberships implements peer.Node. It reads next before present, because move stores a membership
// as the present one before it clears next. So a membership is always found as one of the two.
func (n answering) Memberships() (present, next *peer.Membership) {
	if m := n.next.Load(); m != nil {
		next = m.peerSide
	}
	return n.present.Load().peerSide, next
}

// Control implements peer.Node. It passes a message about the topology to the next membership if
// the message names that one's boot ID, and otherwise to the present one.
func (n answering) Control(ctx context.Context, dst, request []byte) []byte {
	c, err := wire.ParseControl(request)
	if next := n.next.Load(); err == nil && next != nil && c.To == next.id.BootID {
		return next.manager.Serve(ctx, dst, request)
	}
	return n.present.Load().manager.Serve(ctx, dst, request)
}

// host implements peer.Host: what package peer asks of a membership.
type host struct{ *membership }

var _ peer.Host = host{}

// UpdatePeer implements peer.Host.
func (h host) UpdatePeer(ctx context.Context, to transport.Address) error {
	return h.manager.UpdatePeer(ctx, to)
}

// WhoAnswers implements peer.Host.
func (h host) WhoAnswers(ctx context.Context, member string) health.Reach {
	return h.manager.WhoAnswers(ctx, member)
}

// Learn implements peer.Host.
func (h host) Learn(document []byte) {
	t, err := topology.Decode(document)
	if err != nil {
		h.log.Warn("a peer sent a topology that cannot be read; are all nodes of one version?", zap.Error(err))
		return
	}
	h.manager.Learn(t)
}

// Document implements peer.Host.
func (h host) Document() []byte { return h.manager.Document() }

// Remove implements peer.Host. The coordinator works in the present membership, so a remove for any
// other membership is refused.
func (h host) Remove(ctx context.Context, key []byte, o kv.Options) error {
	if v := h.node.Current(); v == nil || h.node.present.Load() != h.membership {
		return errNotNow
	}
	return h.node.coordinator.RemoveHere(ctx, key, o)
}

// Hold implements peer.Host.
func (h host) Hold(list *handoff.List) (bool, error) { return h.driver.Hold(list) }

// CatchUp implements peer.Host.
func (h host) CatchUp(ctx context.Context, v *replica.View, member *replica.Member) error {
	return h.driver.CatchUp(ctx, v, member)
}

// Sealed implements peer.Host.
func (h host) Sealed() version.Epoch { return h.manager.Sealed() }

// LearnSealed implements peer.Host.
func (h host) LearnSealed(e version.Epoch) { h.manager.LearnSealed(e) }

// Go implements peer.Host.
func (h host) Go(f func(ctx context.Context)) bool {
	return h.node.spawn(func() { f(h.ctx) })
}
