package peer

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"viakv/node/transport"
	"viakv/node/wire"
	"viakv/quorum/replica"
	"viakv/quorum/version"
)

// link is what a membership knows of the way to one peer. It outlives epochs.
type link struct {
	address transport.Address

	// suspectUntil is when the peer is worth asking first again, in Unix nanoseconds. Zero: the
	// peer is not suspected. A peer that leaves a call unanswered costs each request a hedge, so
	// for a while other members are asked first.
	suspectUntil atomic.Int64

	// away is the incarnation that gives no answers, as the heartbeats show; zero: none.
	away    atomic.Uint64
	contact atomic.Pointer[contact] // what heartbeats have shown; nil: nothing yet

	// report is what the peer has last told of itself; nil: nothing yet.
	report atomic.Pointer[report]
	limit  Notice

	// leaving is the incarnation that has said that it is about to stop; zero: none has.
	leaving atomic.Uint64

	stores stream

	mu       sync.Mutex
	updating bool       // the peer is being brought up to date
	waiting  []repeater // to be sent again once the peer is up to date
}

// repeater is a message that has found its peer behind.
type repeater interface {
	// resend sends it once more, to a peer that has been brought up to date.
	resend()
	// fail ends it. nothingDone says that the peer has done nothing of it.
	fail(err error, nothingDone bool)
}

// suspicion is how long a peer that did not answer is asked after the other members.
const suspicion = 500 * time.Millisecond

// slow is how long a call must have been open for its withdrawal to make the peer suspect. A
// shorter call may have lost a race to a quicker peer.
const slow = 8 * time.Millisecond

func (k *link) suspect(now time.Time) { k.suspectUntil.Store(now.Add(suspicion).UnixNano()) }

func (k *link) trust() {
	if k.suspectUntil.Load() != 0 {
		k.suspectUntil.Store(0)
	}
}

// answered notes the status of a reply. The process that is at the peer's address now may be
// another one than the process that was asked, which is then as good as silent.
func (k *link) answered(s wire.Status) {
	if s == wire.WrongCluster || s == wire.WrongDestination {
		k.suspect(time.Now())
	} else {
		k.trust()
	}
}

func (k *link) likely() bool {
	until := k.suspectUntil.Load()
	return until == 0 || time.Now().UnixNano() > until
}

// answers reports whether the peer has answered since it was last suspected.
func (k *link) answers() bool { return k.suspectUntil.Load() == 0 }

// there reports whether the heartbeats do not show that the member is away.
func (k *link) there(m *replica.Member) bool {
	away := k.away.Load()
	return away == 0 || away != uint64(m.Holder())
}

// notLeaving reports whether the member has not said that it is about to stop.
func (k *link) notLeaving(m *replica.Member) bool { return k.leaving.Load() != uint64(m.Incarnation) }

// linksOf returns the links to a view's members, in the order of the members. It forgets all other
// links. Calls must not overlap.
func (m *Membership) linksOf(v *replica.View) []*link {
	old := m.links
	m.links = map[transport.Address]*link{}
	out := make([]*link, len(v.Members))
	for i := range v.Members {
		a := transport.Address(v.Members[i].Address)
		k := old[a]
		if k == nil {
			k = &link{address: a}
		}
		m.links[a], out[i] = k, k
	}
	for a := range old {
		if m.links[a] == nil {
			m.cfg.Transport.Forget(a)
		}
	}
	return out
}

// updatePeer brings a peer that is behind to the present epoch, and then repeats what has found the
// peer behind. It returns at once.
func (m *Membership) updatePeer(k *link, r repeater) {
	k.mu.Lock()
	k.waiting = append(k.waiting, r)
	already := k.updating
	k.updating = true
	k.mu.Unlock()
	if already {
		return
	}
	if !m.cfg.Host.Go(func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, updateTime)
		defer cancel()
		k.updated(m.cfg.Host.UpdatePeer(ctx, k.address))
	}) {
		k.updated(errStopping)
	}
}

var errStopping = errors.New("the node is stopping")

// updated ends an update of the peer. What has waited for it is sent again, or fails with its
// error.
func (k *link) updated(err error) {
	k.mu.Lock()
	waiting := k.waiting
	k.waiting, k.updating = nil, false
	k.mu.Unlock()
	for _, r := range waiting {
		if err != nil {
			r.fail(err, true)
		} else {
			r.resend()
		}
	}
}

// updateTime bounds an update. A call that waits for it cannot be withdrawn meanwhile.
const updateTime = time.Second

// goodbyeTime bounds how long SayGoodbye waits for the other members.
const goodbyeTime = 500 * time.Millisecond

// SayGoodbye tells the other members that this node is about to stop, so that they ask other
// members first. It returns when every active member has answered or failed, and at the latest
// after goodbyeTime or at the end of ctx.
func (e *Epoch) SayGoodbye(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, goodbyeTime)
	defer cancel()
	e.Each(func(m int) {
		to := e.View.Members[m].Incarnation
		if m == e.View.Self || to == 0 {
			return
		}
		_, _ = e.ask(ctx, m, wire.AppendRequest(nil, wire.Goodbye, e.stamp(to)))
	})
}

// serveGoodbye notes that another member is about to stop. The epochs of the two nodes do not
// matter: an incarnation stops for all epochs.
func (e *Epoch) serveGoodbye(dst []byte, from version.Incarnation, body []byte) []byte {
	status := wire.OK
	if len(body) != 0 {
		status = wire.Malformed
	} else if k := e.linkTo(from); k != nil {
		k.leaving.Store(uint64(from))
	}
	return e.reply(dst, status)
}
