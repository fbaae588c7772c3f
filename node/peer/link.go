package peer

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"viakv/node/transport"
	"viakv/quorum/replica"
)

// link is what a membership knows of the way to one peer. It outlives epochs.
type link struct {
	address transport.Address

	// suspectUntil is when the peer is worth asking first again, in Unix nanoseconds. A peer that
	// leaves a call unanswered costs each request a hedge; so for a while the others are asked
	// first.
	suspectUntil atomic.Int64

	// memory is what the peer has said of its memory, nil before it has.
	memory atomic.Pointer[memoryReport]
	limit  Notice

	// leaving is the incarnation that has said that it is about to stop; zero: none has.
	leaving atomic.Uint64

	mu       sync.Mutex
	updating bool       // the peer is being brought up to date
	waiting  []*carrier // calls to be repeated once it has been
}

// suspicion is how long a peer that did not answer is asked after the others.
const suspicion = 500 * time.Millisecond

// slow is from when on a call that was withdrawn unanswered makes its peer suspect. Below, it may
// just have lost a race.
const slow = 8 * time.Millisecond

func (k *link) suspect(now time.Time) { k.suspectUntil.Store(now.Add(suspicion).UnixNano()) }

func (k *link) trust() {
	if k.suspectUntil.Load() != 0 {
		k.suspectUntil.Store(0)
	}
}

func (k *link) likely() bool {
	until := k.suspectUntil.Load()
	return until == 0 || time.Now().UnixNano() > until
}

// answers reports whether the peer has answered since it was last suspected.
func (k *link) answers() bool { return k.suspectUntil.Load() == 0 }

// stays reports whether the member has not said that it is about to stop.
func (k *link) stays(m *replica.Member) bool { return k.leaving.Load() != uint64(m.Incarnation) }

// links holds a membership's links by address.
type links struct {
	mu        sync.Mutex
	byAddress map[transport.Address]*link
}

// of returns the links of a view's members in their order, and forgets the others.
func (ls *links) of(v *replica.View, transporter transport.Transport) []*link {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	old := ls.byAddress
	ls.byAddress = map[transport.Address]*link{}
	out := make([]*link, len(v.Members))
	for i := range v.Members {
		a := transport.Address(v.Members[i].Address)
		k := old[a]
		if k == nil {
			k = &link{address: a}
		}
		ls.byAddress[a], out[i] = k, k
	}
	for a := range old {
		if ls.byAddress[a] == nil {
			transporter.Forget(a)
		}
	}
	return out
}

// updatePeer brings a peer that is behind to the present epoch, and then repeats the calls that found it
// so. It returns at once.
func (m *Membership) updatePeer(c *carrier) {
	k := c.link
	k.mu.Lock()
	k.waiting = append(k.waiting, c)
	underway := k.updating
	k.updating = true
	k.mu.Unlock()
	if underway {
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

// updated ends a handing over.
func (k *link) updated(err error) {
	k.mu.Lock()
	waiting := k.waiting
	k.waiting, k.updating = nil, false
	k.mu.Unlock()
	for _, c := range waiting {
		if err != nil {
			c.fail(err, true)
		} else {
			c.resend()
		}
	}
}

// updateTime bounds a handing over: a call that waits for it cannot be withdrawn meanwhile.
const updateTime = time.Second
