package node

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"viakv/api/kv"
	"viakv/api/sleep"
	"viakv/node/topology"
	"viakv/node/transport"
	"viakv/quorum/version"
)

// Join implements kv.Cluster. The node goes on alone while its next membership is admitted and
// copies the mesh's data. Then the node stops serving, imports its own keys into the mesh, and goes
// on as a member. A join that fails leaves the node as it was.
//
// The deadline of the request is that of the join. At the deadline the join is given up, unless the
// node is a member already. The request may end earlier, for example when the server is shut down.
// The join then goes on while the node runs, until the deadline.
func (n *Node) Join(ctx context.Context, peer string) error {
	if !n.joining.TryLock() {
		return fmt.Errorf("%w: %w", kv.ErrAlreadyMember, kv.ErrJoinUnderWay)
	}
	select {
	case <-n.started:
	case <-ctx.Done():
		n.joining.Unlock()
		return &kv.Unavailable{Outcome: kv.None, Reason: "the node has not started yet", Err: ctx.Err()}
	}
	ended := make(chan error, 1)
	if !n.spawn(func() {
		own, cancel := n.ctx, context.CancelFunc(func() {})
		if deadline, ok := ctx.Deadline(); ok {
			own, cancel = context.WithDeadline(own, deadline)
		}
		defer cancel()
		err := n.join(own, transport.Address(peer))
		n.joining.Unlock() // before the answer: the client may join again once it has it
		ended <- err
	}) {
		n.joining.Unlock()
		return errNodeStops
	}
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	// The join's deadline has passed, too. The join ends now, unless the node has become a member
	// and imports its own keys.
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		last := time.NewTimer(finalWait)
		defer last.Stop()
		select {
		case err := <-ended:
			return err
		case <-last.C:
		}
	}
	return &kv.Unavailable{Outcome: kv.Unknown, Reason: "the request was given up; the join goes on", Err: fmt.Errorf("%w: %w", kv.ErrJoinUnderWay, ctx.Err())}
}

// finalWait is how long an answer waits for a join whose deadline has passed.
const finalWait = 3 * time.Second

var (
	errNodeStops = &kv.Unavailable{Outcome: kv.None, Reason: "the node is stopping"}
	errTakenOut  = &kv.Unavailable{Outcome: kv.None, Reason: "the node became a member, and somebody took it out before it had settled in"}
)

// join makes the node a member of the peer's mesh. It tries until ctx ends.
func (n *Node) join(ctx context.Context, peer transport.Address) error {
	old := n.present.Load()
	if len(n.cfg.Seeds) == 0 { // a node without seeds first founds a cluster of one
		select {
		case <-old.first:
		case <-old.over:
		case <-ctx.Done():
		}
	}
	alone, err := old.mayJoin()
	if err == nil {
		err = old.manager.Depart(ctx, peer)
	}
	if err != nil {
		return err
	}
	for {
		next, err := n.newMembership(topology.Config{JoinVia: peer})
		if err != nil {
			old.manager.CancelDeparture(ctx)
			return err
		}
		if alone {
			next.importing = old.state.Load().Store.Stats().UsedBytes
			next.imported = next.peerSide.Counter.Take()
		}
		// Imported records keep their counters. Tags minted in the next membership must lie above
		// them (quorum.Import).
		next.peerSide.Counter.Observe(old.peerSide.Counter.Now())
		n.next.Store(next)
		n.begin(next)
		err = next.awaitMembership(ctx)
		if err == nil {
			err = n.move(old, next, alone)
			next.announce(n.ctx)
			return err
		}
		n.next.Store(nil)
		next.end()
		if errors.Is(err, topology.ErrAbandoned) && sleep.For(ctx, rejoinAfter) {
			// The mesh has not heard from this node for a while. The cause may lie with the mesh.
			n.log.Warn("the mesh has given the join up; trying again", zap.Error(err))
			continue
		}
		old.manager.CancelDeparture(ctx)
		if errors.Is(err, topology.ErrAbandoned) {
			return &kv.Unavailable{Outcome: kv.None, Reason: "the mesh gave the join up, because its leader did not hear from this node", Err: err}
		}
		return notTaken(err)
	}
}

// notTaken marks the errors of a membership that ended before the node became a member: nothing has
// happened, to this node or to the mesh. Other errors stay as they are.
func notTaken(err error) error {
	for _, end := range []error{topology.ErrReplaced, topology.ErrForgotten, topology.ErrOver} {
		if errors.Is(err, end) {
			return &kv.Unavailable{Outcome: kv.None, Reason: "the mesh did not take this node in: " + err.Error(), Err: err}
		}
	}
	return err
}

// rejoinAfter is how long a node waits before it tries again to join a mesh that has given its join
// up.
const rejoinAfter = 200 * time.Millisecond

// mayJoin returns an error unless the membership may be given up for another. It may when the node
// is standalone or no longer in a cluster. A standalone node (alone) has keys to import.
func (m *membership) mayJoin() (alone bool, err error) {
	s := m.state.Load()
	switch {
	case s == nil:
		return false, kv.Detail(kv.ErrAlreadyMember, "the node is founding or joining a cluster with its seeds")
	case s.role == topology.Stranger:
		return false, nil
	case s.topology.N() == 1 && s.role == topology.Active:
		return true, nil
	}
	return false, kv.Detail(kv.ErrInMesh, "the node is one of %d members of cluster %v", s.topology.N(), s.topology.Cluster)
}

// awaitMembership waits until this node is an active member and its join is settled. Some time
// before the deadline of ctx it withdraws the node from the mesh. If that comes too late, because
// the mesh counts on the node as a member, it waits until the node is active, settled or not.
func (m *membership) awaitMembership(ctx context.Context) error {
	notice, cancel := ctx, context.CancelFunc(func() {})
	if deadline, ok := ctx.Deadline(); ok {
		notice, cancel = context.WithDeadline(ctx, deadline.Add(-withdrawTime(time.Until(deadline))))
	}
	defer cancel()
	timeUp := notice.Done()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		s := m.state.Load()
		if s != nil && s.role == topology.Active && (s.topology.Change == nil || timeUp == nil) {
			return nil
		}
		select {
		case <-tick.C:
		case <-timeUp:
			timeUp = nil
			if err := m.withdraw(ctx); err != nil {
				return err
			}
		case <-m.over:
			switch {
			case m.err != nil:
				return m.err
			case m.ctx.Err() != nil:
				return errNodeStops
			}
			return errTakenOut
		}
	}
}

// withdraw tells the mesh that this node does not go on with its join, and returns the outcome of
// the join. It returns nil when the mesh counts on the node as a member already: the node then has
// to become one.
func (m *membership) withdraw(given context.Context) error {
	status := m.manager.Status()
	reason, cause := status.Reason, status.Cause
	if s := m.state.Load(); s != nil {
		switch s.role {
		case topology.Active:
			return nil
		case topology.Joining:
			reason, cause = m.progress()
		}
	}
	late := context.DeadlineExceeded
	if cause != nil {
		late = fmt.Errorf("%w: %w", cause, late)
	}
	switch err := m.manager.Withdraw(given); {
	case m.ctx.Err() != nil:
		return errNodeStops
	case errors.Is(err, kv.ErrAlreadyMember), m.state.Load() != nil && m.state.Load().role == topology.Active:
		return nil
	case err == nil:
		return &kv.Unavailable{Outcome: kv.None, Reason: "the join took too long and was given up; it was waiting for " + reason, Err: late}
	}
	return &kv.Unavailable{Outcome: kv.Unknown, Err: fmt.Errorf("%w: %w", kv.ErrMayBeMember, late), Reason: "the join took too long and was given up; it was waiting for " + reason +
		". The mesh could not be told, and may count on this node as a member"}
}

// withdrawTime is how much of a join's time is kept for its withdrawal: a quarter, and 10 s at
// most, which outlasts most faults of a network. A node that gives up without the mesh's answer may
// be a member all the same. The mesh then misses it as if it had crashed.
func withdrawTime(given time.Duration) time.Duration { return min(10*time.Second, given/4) }

// move makes next the present membership of the node. If the node was alone, its keys are written
// into the mesh after old has served its last request and before next serves its first.
func (n *Node) move(old, next *membership, alone bool) error {
	n.quiesce()
	defer n.frozen.Store(false)
	var err error
	if alone {
		err = n.importOwn(next.ctx, old, next)
	}
	n.present.Store(next)
	n.next.Store(nil)
	old.end()
	return err
}

// Leave implements kv.Cluster.
func (n *Node) Leave(ctx context.Context, name string, force bool) (kv.Left, error) {
	m := n.present.Load()
	s := m.state.Load()
	if s == nil || s.role == topology.Stranger {
		return kv.Left{}, kv.Detail(kv.ErrNoSuchNode, "this node is no member of a cluster")
	}
	if name == "" {
		name = n.cfg.Name
	}
	report, err := m.manager.Leave(ctx, name, force)
	if err == nil {
		m.announce(ctx)
	}
	return report, err
}

// SetReads implements kv.Cluster. Like a clear, it is a step of the topology and moves no data, so
// it gets no more time than one.
func (n *Node) SetReads(ctx context.Context, reads kv.Reads) (version.Epoch, error) {
	if n.Current() == nil {
		if err := n.Ready(ctx); err != nil {
			return 0, err
		}
		return 0, errNotNow // the node has become ready in between, and nothing was changed
	}
	ctx, cancel := context.WithTimeout(ctx, max(n.cfg.Timeout, minClearTime))
	defer cancel()
	m := n.present.Load()
	epoch, err := m.manager.SetReads(ctx, reads)
	if err == nil {
		m.announce(ctx)
	}
	return epoch, err
}

// announceTime is how long the answer to a change waits for members that are slow to adopt it.
const announceTime = time.Second

// announce brings the newest topology to the other active members that are connected. It returns
// when all of them have taken it, or after announceTime. Safety never depends on it: the change
// is agreed and sealed before. It serves clients that ask another member next, for example through
// a load balancer, and expect the change to show there.
func (m *membership) announce(ctx context.Context) {
	s := m.state.Load()
	ctx, cancel := context.WithTimeout(ctx, announceTime)
	defer cancel()
	var members sync.WaitGroup
	for i := range s.View.Members {
		address := transport.Address(s.View.Members[i].Address)
		if i == s.View.Self || s.View.Members[i].Incarnation == 0 || !m.node.transport.Health(address).Connected {
			continue
		}
		members.Go(func() {
			for m.manager.UpdatePeer(ctx, address) != nil {
				if !sleep.For(ctx, announceEvery) {
					return
				}
			}
		})
	}
	members.Wait()
}

// announceEvery is the pause between two attempts to update a member.
const announceEvery = 20 * time.Millisecond
