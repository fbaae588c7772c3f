package topology

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"viakv/node/transport"
	"viakv/quorum/version"
)

// The states of a membership, as shown to people and to other nodes. They are in the order in which
// a membership may run through them.
const (
	stateFounding   = "founding"   // waits for its seeds; not in a cluster yet
	stateJoining    = "joining"    // asks to be admitted, or copies before it becomes a slot
	stateRebuilding = "rebuilding" // its slot is vacant until it has rebuilt
	stateActive     = "active"
	stateLeft       = "left" // the membership is over
)

// Manager runs one membership of a node in one cluster. It founds or enters the cluster, takes part
// in its consensus, and passes topologies to its Host. It ends when the node is no longer part of
// the cluster.
type Manager struct {
	cfg         Config
	log         *zap.Logger
	self        Identity
	changed     signal // known, adopted, sealed, state or leader has changed
	adopted     atomic.Pointer[Topology]
	sealed      atomic.Uint64 // the newest epoch that is known to be sealed by what was found or told
	toldWait    throttle
	misdirected throttle
	addresses   *addressBook // owned by the goroutine of Run

	mu       sync.Mutex // guards the fields below
	random   *rand.Rand
	sequence uint64
	reason   string // what the manager waits for
	cause    error  // the error that makes it wait; nil: none
	entering bool   // a cluster has been asked for admission
	// promised is the founder that this process is bound to. The zero value: none.
	promised Identity
	// participants are the fresh processes that the last round over the seeds saw, ascending. Nil:
	// that round was not complete.
	participants []uint64
	known        *Topology // the newest topology; adopted or about to be
	encoded      []byte    // the encoding of known
	forked       bool      // known was forked here: this process is its only voter
	// barrier is the epoch of the last size change whose sync barrier this node has run.
	barrier version.Epoch
	// joiningVia is the peer address by which the node is joining another cluster. Empty: it is not
	// joining.
	joiningVia transport.Address
	group      *group
	over       bool
}

// New returns a manager. It starts nothing.
func New(cfg Config) (*Manager, error) {
	if cfg.Logger == nil {
		cfg.Logger = zap.NewNop()
	}
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	return &Manager{
		cfg: cfg, self: cfg.Self,
		log:       cfg.Logger.With(zap.String("node", cfg.Self.Name)),
		addresses: newAddressBook(cfg.Resolve),
		random:    NewRandom(cfg.Random),
	}, nil
}

// current returns the topology that the Host has adopted, or nil before the first. It never blocks.
func (m *Manager) current() *Topology { return m.adopted.Load() }

// Document returns the encoding of the newest topology, to be sent to a peer that is behind. It is
// nil before the first topology. The caller must not change it.
func (m *Manager) Document() []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.encoded
}

// newest returns the newest known topology, or nil before the first.
func (m *Manager) newest() *Topology {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.known
}

// ended reports whether this membership is over.
func (m *Manager) ended() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.over
}

// Learn takes in a committed document if it is news for this process, and reports whether it was.
// It never waits for the Host.
func (m *Manager) Learn(t *Topology) bool {
	if t == nil {
		return false
	}
	encoded := t.encode()
	m.mu.Lock()
	ok := m.acceptsLocked(t)
	if ok {
		m.known, m.encoded, m.forked = t, encoded, false
	}
	m.mu.Unlock()
	if ok {
		m.changed.notify()
	}
	return ok
}

func (m *Manager) acceptsLocked(t *Topology) bool {
	k := m.known
	switch {
	case m.over:
		return false
	case k == nil:
		return t.includes(m.self.BootID) && (m.promised.BootID == 0 || m.promised.BootID == t.Founder)
	case t.Epoch <= k.Epoch:
		return false
	case t.Cluster == k.Cluster:
		return true
	}
	// A fork takes over the members that the old majority has left behind. While the old group has
	// a leader, the fork is in the wrong, and this process does not follow it.
	return t.continues(k.Cluster) && (m.group == nil || m.group.snapshot().leader == 0)
}

// adopt passes topologies to the Host, one after another (E2).
func (m *Manager) adopt(ctx context.Context) {
	for {
		changed := m.changed.wait()
		t, last := m.newest(), m.current()
		if t != nil && (last == nil || t.Epoch > last.Epoch) {
			m.cfg.Host.Adopt(t)
			m.adopted.Store(t)
			m.changed.notify()
			m.forget(last, t)
			continue
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// forget closes the connections to addresses that no recipient of t has any more.
func (m *Manager) forget(last, t *Topology) {
	if last == nil || !t.includes(m.self.BootID) {
		return
	}
	for _, was := range last.recipients() {
		if !slices.ContainsFunc(t.recipients(), func(id Identity) bool { return id.Peer == was.Peer }) {
			m.cfg.Transport.Forget(was.Peer)
		}
	}
}

// awaitAdopted waits until the Host has adopted the epoch or a later one.
func (m *Manager) awaitAdopted(ctx context.Context, e version.Epoch) error {
	return m.changed.until(ctx, func() bool {
		t := m.current()
		return t != nil && t.Epoch >= e
	})
}

// nextOperation returns the ID of a new operation of this process.
func (m *Manager) nextOperation() OperationID {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sequence++
	return OperationID{m.self.BootID, m.sequence}
}

// waitFor notes what the manager is waiting for, and logs it once in a while.
func (m *Manager) waitFor(reason string) { m.waitBecause(nil, reason) }

// waitBecause is waitFor with the error that makes the manager wait. A nil cause means none.
func (m *Manager) waitBecause(cause error, reason string) {
	m.mu.Lock()
	m.reason, m.cause = reason, cause
	m.mu.Unlock()
	if m.toldWait.due(reason) {
		m.log.Info("the node is waiting", zap.String("for", reason))
	}
}

// repeatAfter is the time after which the same message may be logged again.
const repeatAfter = 10 * time.Second

// throttle lets a message pass when it is new, or old enough to be repeated.
type throttle struct {
	mu   sync.Mutex
	last string
	at   time.Time
}

func (t *throttle) due(message string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	if message == t.last && now.Sub(t.at) < repeatAfter {
		return false
	}
	t.last, t.at = message, now
	return true
}
