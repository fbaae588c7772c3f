package node

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"viakv/api/kv"
	"viakv/node/topology"
	"viakv/node/wire"
	"viakv/quorum/version"
	"viakv/quorum/version/rule"
)

// ServeInline implements transport.Handler: the quorum phases, answered from memory in the
// goroutine that reads the connection. So is a remove for which there is no room, which costs no
// goroutine then.
func (n *Node) ServeInline(dst, request []byte) ([]byte, bool) {
	if !inline(request) {
		if len(request) > 0 && wire.Op(request[0]) == wire.Remove && (n.retreating.Load() || n.coordinated.Load() >= maxCoordinated) {
			return n.Refuse(dst, request), true
		}
		return dst, false
	}
	op, stamp, body, err := wire.ParseRequest(request)
	if err != nil {
		return wire.AppendReply(dst, wire.Malformed, 0, 0), true
	}
	s := n.member(stamp)
	if s == nil {
		return wire.AppendReply(dst, wire.WrongCluster, 0, 0), true
	}
	return s.serve(dst, op, stamp, body)
}

// inline reports whether a request is one that is answered in place. The code alone tells: control messages have a header of their own.
func inline(request []byte) bool {
	if len(request) == 0 {
		return false
	}
	switch wire.Op(request[0]) {
	case wire.Read, wire.Store, wire.Vote, wire.StoreIf, wire.Memory, wire.Bye:
		return true
	}
	return false
}

// member returns the state of the life that a request is meant for: of those that this process
// leads in the request's cluster the one with the incarnation that is asked for, or else the
// present one. There are two where a node joins the mesh again that it has left. Nil: this process
// leads no life in that cluster.
func (n *Node) member(stamp wire.Stamp) (found *state) {
	for _, l := range [...]*life{n.life.Load(), n.next.Load()} {
		if l == nil {
			continue
		}
		s := l.state.Load()
		switch {
		case s == nil || uint64(s.topology.Cluster) != stamp.Cluster:
		case s.self == stamp.To:
			return s
		case found == nil:
			found = s
		}
	}
	return found
}

// admit checks a stamp (N2). OK: the request may be served at this state's epoch.
func (s *state) admit(stamp wire.Stamp, pendingToo bool) wire.Status {
	switch {
	case s.life.sealed.Load():
		return wire.NotActive
	case stamp.Epoch < s.view.Epoch && !rule.Broken(rule.Fence):
		return wire.Stale
	case stamp.Epoch > s.view.Epoch:
		return wire.Behind
	case stamp.To != s.self && !rule.Broken(rule.Destination) || s.self == 0:
		return wire.WrongDestination
	case s.role != topology.Active && !pendingToo:
		return wire.NotActive
	case !s.view.Knows(stamp.From):
		return wire.NotActive
	}
	return wire.OK
}

// refuse appends the reply to a request that was not admitted. To one that is behind goes the topology, so that it can catch up at once.
func (s *state) refuse(dst []byte, status wire.Status) []byte {
	dst = wire.AppendReply(dst, status, s.life.clock.Now(), s.view.Epoch)
	if status == wire.Stale {
		dst = append(dst, s.life.manager.Document()...)
	}
	return dst
}

// serve answers one phase of a quorum. False: this node is between two epochs and the answer must wait for the next.
func (s *state) serve(dst []byte, op wire.Op, stamp wire.Stamp, body []byte) ([]byte, bool) {
	switch op {
	case wire.StoreIf:
		return s.serveOffer(dst, stamp, body)
	case wire.Bye:
		return s.serveBye(dst, stamp.From, body), true
	}
	if status := s.admit(stamp, op != wire.Read); status != wire.OK {
		return s.refuse(dst, status), true
	}
	var err error
	mark := len(dst)
	switch op {
	case wire.Read:
		dst, err = s.serveRead(dst, body)
	case wire.Store:
		dst, err = s.serveStore(dst, body)
	case wire.Memory:
		dst, err = s.serveMemory(dst, stamp.From, body)
	default:
		dst, err = s.serveVote(dst, body)
	}
	switch {
	case err == nil:
		return dst, true
	case errors.Is(err, wire.ErrMalformed):
		return wire.AppendReply(dst[:mark], wire.Malformed, 0, s.view.Epoch), true
	}
	return dst[:mark], false
}

// serveOffer serves the first copy of a StoreIf, and refuses later ones as unknown (D10). A copy
// must learn whether it is the first before anything else can refuse it as stale or not active: the
// sender takes that for a promise that nothing has been or will be stored. So the promise is for
// the incarnation that keeps the window alone.
func (s *state) serveOffer(dst []byte, stamp wire.Stamp, body []byte) ([]byte, bool) {
	r, err := wire.ParseStoreIf(body)
	if err != nil || r.Record.Tag.Incarnation != stamp.From {
		return wire.AppendReply(dst, wire.Malformed, 0, s.view.Epoch), true
	}
	status, n := s.admit(stamp, false), r.Record.Tag.Counter
	switch {
	case stamp.To != s.self || s.self == 0:
		return s.refuse(dst, wire.WrongDestination), true
	case status == wire.Behind: // the sender brings this node up to date and sends the same again
		return s.refuse(dst, status), true
	case !s.view.Knows(stamp.From): // there is no window to note the copy in, and so no promise
		return s.refuse(dst, wire.WrongDestination), true
	case !s.life.offers.first(stamp.From, n):
		return wire.AppendReply(dst, wire.Unknown, 0, s.view.Epoch), true
	case status != wire.OK:
		return s.refuse(dst, status), true
	}
	mark := len(dst)
	if dst, err = s.serveStoreIf(dst, &r); err != nil {
		s.life.offers.forget(stamp.From, n) // nothing was done yet
		return dst[:mark], false
	}
	return dst, true
}

// Serve implements transport.Handler: everything that may wait.
func (n *Node) Serve(ctx context.Context, dst, request []byte) []byte {
	if len(request) > 0 && wire.ControlOp(request[0]) >= wire.FirstControlOp {
		return n.serveControl(ctx, dst, request)
	}
	op, stamp, body, err := wire.ParseRequest(request)
	if err != nil {
		return wire.AppendReply(dst, wire.Malformed, 0, 0)
	}
	if op == wire.Remove {
		return n.serveRemove(ctx, dst, stamp, body)
	}
	for {
		s := n.member(stamp)
		if s == nil {
			return wire.AppendReply(dst, wire.WrongCluster, 0, 0)
		}
		switch op {
		case wire.Read, wire.Store, wire.Vote, wire.StoreIf, wire.Memory, wire.Bye:
			out, ok := s.serve(dst, op, stamp, body)
			if ok {
				return out
			}
			s.wait(ctx, transitionTime) // the store is at the next epoch, which is about to be published
			if ctx.Err() != nil || s == n.member(stamp) {
				return s.refuse(dst, wire.Overloaded)
			}
		default:
			return s.serveBulk(ctx, dst, op, stamp, body)
		}
	}
}

// transitionTime bounds the wait for the publication of an epoch at which the store already is.
const transitionTime = time.Second

// serveControl passes a message about the topology to the life that it is meant for.
func (n *Node) serveControl(ctx context.Context, dst, request []byte) []byte {
	c, err := wire.ParseControl(request)
	if next := n.next.Load(); err == nil && next != nil && c.To == next.id.Boot {
		return next.manager.Serve(ctx, dst, request)
	}
	return n.life.Load().manager.Serve(ctx, dst, request)
}

// Refuse implements transport.Handler.
func (n *Node) Refuse(dst, request []byte) []byte {
	if len(request) > 0 && wire.ControlOp(request[0]) >= wire.FirstControlOp {
		return wire.AppendControlReply(dst, &wire.ControlReply{Status: wire.ControlRefused})
	}
	op, stamp, body, err := wire.ParseRequest(request)
	if err == nil && op == wire.Remove {
		_, _, err = n.firstRemove(stamp, body)
	}
	switch {
	case errors.Is(err, errSecondCopy):
		return wire.AppendReply(dst, wire.Unknown, 0, 0)
	case err != nil:
		return wire.AppendReply(dst, wire.Malformed, 0, 0)
	}
	return wire.AppendReply(dst, wire.Overloaded, 0, 0)
}

// maxCoordinated bounds the removes that this node coordinates for its peers at a time. What is
// above is refused, and its sender coordinates it itself, which costs no more. It is lower than the
// number of requests that one connection may have waiting: removes leave room for the messages of
// the consensus group.
const maxCoordinated = 256

// errSecondCopy: the network has delivered a request before.
var errSecondCopy = errors.New("node: a second copy of a request")

// firstRemove reads a request to remove and notes it, or reports a second copy of it. A sender that
// is refused does the remove itself; so a copy that comes after a refusal must not be carried out.
func (n *Node) firstRemove(stamp wire.Stamp, body []byte) (r wire.RemoveRequest, id requestID, err error) {
	if r, err = wire.ParseRemove(body); err != nil {
		return r, id, err
	}
	id = requestID{stamp.Cluster, version.Operation{Incarnation: stamp.From, Sequence: r.Sequence}}
	if !n.removes.first(id, time.Now()) {
		return r, id, errSecondCopy
	}
	return r, id, nil
}

// serveRemove coordinates a remove for a peer, as the key's owner. A refusal makes the sender do it
// itself. So a copy of one that is under way must not be refused, whatever has become of this
// node's epoch since; and one that comes after a refusal must not be carried out.
func (n *Node) serveRemove(ctx context.Context, dst []byte, stamp wire.Stamp, body []byte) []byte {
	n.coordinated.Add(1)
	defer n.coordinated.Add(-1)
	r, id, err := n.firstRemove(stamp, body)
	switch {
	case errors.Is(err, errSecondCopy):
		return wire.AppendReply(dst, wire.Unknown, 0, 0) // whatever came of the first is the answer, and this is not it
	case err != nil:
		return wire.AppendReply(dst, wire.Malformed, 0, 0)
	}
	// Not before the request was noted: a request refused as stale since then has left its later epoch
	// to be seen here.
	s := n.member(stamp)
	if s == nil {
		return wire.AppendReply(dst, wire.WrongCluster, 0, 0)
	}
	if status := s.admit(stamp, false); status != wire.OK {
		if status == wire.Behind {
			n.removes.forget(id) // the sender brings this node up to date and sends the same again
		}
		return s.refuse(dst, status)
	}
	if v := n.Current(); v == nil || v.Origin.(*state).life != s.life {
		return s.refuse(dst, wire.NotActive) // the node's clients still meet its former life, and the coordinator with them: the sender does it itself
	}
	o := kv.Options{R: r.R, W: r.W, Deadline: time.Now().Add(r.Left), Trace: r.Trace}
	status := wire.OK
	var u *kv.Unavailable
	switch err := n.coordinator.RemoveHere(ctx, r.Key, o); {
	case err == nil:
	case errors.Is(err, kv.ErrMissing):
		status = wire.Missing
	case errors.As(err, &u) && u.Outcome == kv.Unknown:
		status = wire.Unknown
	default:
		status = wire.NotActive
	}
	if entry := n.log.Check(zap.DebugLevel, "remove for another member"); entry != nil {
		fields := []zap.Field{zap.Uint64("incarnation", uint64(stamp.From)), zap.Stringer("status", status)}
		if !r.Trace.IsZero() {
			fields = append(fields, zap.Stringer("traceparent", r.Trace))
		}
		entry.Write(fields...)
	}
	return wire.AppendReply(dst, status, s.life.clock.Now(), s.view.Epoch)
}
