package peer

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"viakv/api/health"
	"viakv/api/kv"
	"viakv/handoff"
	"viakv/node/storage"
	"viakv/node/transport"
	"viakv/node/wire"
	"viakv/quorum/lease"
	"viakv/quorum/replica"
	"viakv/quorum/version"
	"viakv/quorum/watermark"
)

// Host is what a membership asks of the rest of its node. The methods must be safe for concurrent
// use. Learn, Document, Hold and Go do not block.
type Host interface {
	// UpdatePeer brings this node's newest topology to the peer at an address. It returns nil once
	// the peer has taken the topology; a slow peer may not have adopted it yet.
	UpdatePeer(ctx context.Context, to transport.Address) error
	// WhoAnswers asks which process is at a member's address, and returns what that shows of the
	// member.
	WhoAnswers(ctx context.Context, member string) health.Reach
	// Learn takes the newer topology that a peer's reply carried. It does not keep the document.
	Learn(document []byte)
	// Document returns the newest topology, for a peer that is behind. The caller only reads it.
	Document() []byte
	// Remove coordinates a remove for a peer, as the key's owner, and returns its result by the
	// options' deadline. It does not keep the key. The error is a *kv.Unavailable with outcome none
	// where the coordinator does not work in this membership.
	Remove(ctx context.Context, key []byte, o kv.Options) error
	// Hold reports whether this node holds exactly each tombstone of a list. It keeps the list.
	Hold(list *handoff.List) (bool, error)
	// CatchUp merges what a member holds and this node does not, at the view's epoch (L2).
	CatchUp(ctx context.Context, v *replica.View, member *replica.Member) error
	// Sealed returns the newest epoch that is known to be sealed, and LearnSealed takes in what
	// another member knows (L10). Neither blocks.
	Sealed() version.Epoch
	LearnSealed(e version.Epoch)
	// Go runs f in a goroutine that the node waits for, under a context that ends with the
	// membership. It returns false when the node is stopping.
	Go(f func(ctx context.Context)) bool
}

// Config of a Membership.
type Config struct {
	Host      Host
	Transport transport.Transport
	Logger    *zap.Logger
	MaxBytes  int64 // this node's memory limit in bytes; 0: none
	// Figures returns what this node has counted of its clients' requests. Nil: nothing.
	Figures func() kv.Figures
	Clock   lease.Clock // of leases; nil: a monotonic one
	// Marker changes when the machine has stood still. Nil: nobody tells.
	Marker lease.Marker
}

// Membership is what peers meet of one membership of this node: its counter, what it knows to be
// complete, its links and its present epoch.
type Membership struct {
	Counter watermark.Counter // of this node in the cluster (D3)
	Marks   watermark.Marks   // of the other members, and of those that are gone (L6)

	cfg     Config
	present atomic.Pointer[Epoch]       // nil before the membership belongs to a cluster
	learned atomic.Uint64               // the newest epoch that a peer's reply has brought
	links   map[transport.Address]*link // to the members of the epoch that Next made last
	leases  leases
	sealed  chan struct{} // closed by Seal
	sealing sync.Once
}

// NewMembership returns a membership that belongs to no cluster yet.
func NewMembership(cfg Config) *Membership {
	if cfg.Clock == nil {
		cfg.Clock = lease.Monotonic()
	}
	return &Membership{cfg: cfg, sealed: make(chan struct{})}
}

// Epoch is one epoch of a membership: its view, its store and its links. It never changes.
type Epoch struct {
	View  replica.View
	Store *storage.Store
	Self  version.Incarnation // this node's own, active or pending; zero: it is no member

	membership *Membership
	links      []*link // by member index
	superseded chan struct{}
}

// Next returns the epoch of a view; Enter makes it the present one. Next sets the fields of the
// view that belong to the membership: Store, Counter, Marks, what belongs to leases, Origin and
// Superseded. Calls must not overlap.
func (m *Membership) Next(v replica.View, store *storage.Store, self version.Incarnation) *Epoch {
	e := &Epoch{View: v, Store: store, Self: self, membership: m, superseded: make(chan struct{})}
	e.View.Store, e.View.Counter, e.View.Marks = store, &m.Counter, &m.Marks
	e.View.Origin, e.View.Superseded = e, e.superseded
	m.leases.bind(&e.View, &m.cfg)
	e.View.Sealed = m.cfg.Host.Sealed
	e.links = m.linksOf(&e.View)
	return e
}

// Enter makes an epoch the one at which peers are answered, and ends the epoch before it. The store
// must have been moved to the new epoch already (N1).
func (m *Membership) Enter(e *Epoch) {
	m.Marks.Enter(e.View.Incarnations())
	old := m.present.Swap(e)
	e.View.Held.Enter(e.View.Place())
	if old != nil {
		close(old.superseded)
	}
}

// Seal makes the membership refuse everything from now on, at every epoch: what arrives later, and
// what waits between two epochs already (N1). No epoch may begin while Seal runs or after it.
func (m *Membership) Seal() {
	m.sealing.Do(func() { close(m.sealed) })
	if e := m.present.Load(); e != nil {
		e.Store.Advance(SealedEpoch, 0)
		m.cfg.Host.Go(e.EndLeases)
	}
}

// SealedEpoch is above every epoch that is stamped on a request, and below the epoch of a closed
// store.
const SealedEpoch = ^version.Epoch(0) - 1

// Sealed reports whether the membership refuses everything.
func (m *Membership) Sealed() bool {
	select {
	case <-m.sealed:
		return true
	default:
		return false
	}
}

// wait waits until the membership has left the epoch behind or is sealed, for at most d.
func (e *Epoch) wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-e.superseded:
	case <-e.membership.sealed:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// while returns a context that ends with ctx, and once the epoch or the membership is over. The
// caller must call cancel.
func (e *Epoch) while(ctx context.Context) (_ context.Context, cancel context.CancelFunc) {
	ctx, end := context.WithCancel(ctx)
	go func() {
		select {
		case <-e.superseded:
		case <-e.membership.sealed:
		case <-ctx.Done():
		}
		end()
	}()
	return ctx, end
}

// learn passes a newer topology from a peer's reply to the Host. Every call that was refused as
// stale brings one. The first of an epoch is enough, so later ones are dropped.
func (m *Membership) learn(epoch version.Epoch, document []byte) {
	for {
		known := m.learned.Load()
		if uint64(epoch) <= known {
			return
		}
		if m.learned.CompareAndSwap(known, uint64(epoch)) {
			break
		}
	}
	m.cfg.Host.Learn(document)
}

// stamp returns the stamp of a request to an incarnation.
func (e *Epoch) stamp(to version.Incarnation) wire.Stamp {
	return wire.Stamp{Cluster: e.View.Cluster, Epoch: e.View.Epoch, To: to, From: e.Self, Mark: e.membership.Counter.Mark()}
}

// reply appends the header of a reply that is given at the epoch.
func (e *Epoch) reply(dst []byte, status wire.Status) []byte {
	mark := e.membership.Counter.Mark() // before the counter, which it may exceed by one
	return wire.AppendReply(dst, status, e.membership.Counter.Now(), mark, e.View.Epoch)
}

// hear learns what a reply of a member tells of its counter, and of its watermark where the reply
// shows that the member itself has given it. Other replies may be of another process, which is at
// the member's address now.
func (m *Membership) hear(from version.Incarnation, r *wire.Reply) {
	m.Counter.Observe(r.Counter)
	switch r.Status {
	case wire.OK, wire.Same, wire.Nack:
		m.Marks.Learn(from, r.Mark)
	}
}

// ask sends a member a request of class Data, and returns the reply.
func (e *Epoch) ask(ctx context.Context, m int, request []byte) ([]byte, error) {
	return transport.Ask(ctx, e.membership.cfg.Transport, e.links[m].address, transport.Data, request)
}

// Each calls f for all members at once, and returns when all calls have returned.
func (e *Epoch) Each(f func(member int)) {
	var calls sync.WaitGroup
	for m := range e.View.Members {
		calls.Go(func() { f(m) })
	}
	calls.Wait()
}

// Of returns the epoch that a view belongs to.
func Of(v *replica.View) *Epoch { return v.Origin.(*Epoch) }
