package peer

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"viakv/node/wire"
	"viakv/quorum/version/rule"
)

// Node is what the server asks of its node. The methods do not block, but for Control.
type Node interface {
	// Memberships returns the present membership and the one that a join is preparing, nil: there
	// is none.
	Memberships() (present, next *Membership)
	// Control answers a message about the topology. It may block until ctx ends.
	Control(ctx context.Context, dst, request []byte) []byte
}

// Server answers peers. It is the node's transport.Handler.
type Server struct {
	node        Node
	log         *zap.Logger
	removes     once         // that were forwarded to this node
	coordinated atomic.Int64 // of these, how many are under way
	stopping    atomic.Bool
}

// NewServer returns the server of a node.
func NewServer(n Node, log *zap.Logger) *Server { return &Server{node: n, log: log} }

// StopRemoves makes the server refuse removes from now on: the node stops.
func (s *Server) StopRemoves() { s.stopping.Store(true) }

// Coordinated returns how many removes of peers are under way here.
func (s *Server) Coordinated() int64 { return s.coordinated.Load() }

// ServeInline implements transport.Handler: the quorum phases, answered from memory in the
// goroutine that reads the connection. So is a remove for which there is no room, which costs no
// goroutine then.
func (s *Server) ServeInline(dst, request []byte) ([]byte, bool) {
	if !inline(request) {
		if len(request) > 0 && wire.Op(request[0]) == wire.Remove && (s.stopping.Load() || s.coordinated.Load() >= maxCoordinated) {
			return s.Refuse(dst, request), true
		}
		return dst, false
	}
	op, stamp, body, err := wire.ParseRequest(request)
	if err != nil {
		return wire.AppendReply(dst, wire.Malformed, 0, 0), true
	}
	e := s.epoch(stamp)
	if e == nil {
		return wire.AppendReply(dst, wire.WrongCluster, 0, 0), true
	}
	return e.serve(dst, op, stamp, body)
}

// inline reports whether a request is one that is answered in place. The code alone tells: control
// messages have a header of their own.
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

// epoch returns the present epoch of the membership that a request is meant for: of those in the
// request's cluster the one with the incarnation that is asked for, or else the present one. There
// are two where a node joins the mesh again that it has left. Nil: this process has no membership
// in that cluster.
func (s *Server) epoch(stamp wire.Stamp) (found *Epoch) {
	present, next := s.node.Memberships()
	for _, m := range [...]*Membership{present, next} {
		if m == nil {
			continue
		}
		e := m.Present()
		switch {
		case e == nil || e.View.Cluster != stamp.Cluster:
		case e.Self == stamp.To:
			return e
		case found == nil:
			found = e
		}
	}
	return found
}

// admit checks a stamp (N2). OK: the request may be served at this epoch.
func (e *Epoch) admit(stamp wire.Stamp, pendingToo bool) wire.Status {
	switch {
	case e.membership.Sealed():
		return wire.NotActive
	case stamp.Epoch < e.View.Epoch && !rule.Broken(rule.Fence):
		return wire.Stale
	case stamp.Epoch > e.View.Epoch:
		return wire.Behind
	case stamp.To != e.Self && !rule.Broken(rule.Destination) || e.Self == 0:
		return wire.WrongDestination
	case !e.active() && !pendingToo:
		return wire.NotActive
	case !e.View.Knows(stamp.From):
		return wire.NotActive
	}
	return wire.OK
}

// refuse appends the reply to a request that was not admitted. To one that is behind goes the
// topology, so that it can catch up at once.
func (e *Epoch) refuse(dst []byte, status wire.Status) []byte {
	dst = wire.AppendReply(dst, status, e.membership.Clock.Now(), e.View.Epoch)
	if status == wire.Stale {
		dst = append(dst, e.membership.cfg.Host.Document()...)
	}
	return dst
}

// serve answers one phase of a quorum. False: this node is between two epochs and the answer must
// wait for the next.
func (e *Epoch) serve(dst []byte, op wire.Op, stamp wire.Stamp, body []byte) ([]byte, bool) {
	switch op {
	case wire.StoreIf:
		return e.serveOffer(dst, stamp, body)
	case wire.Bye:
		return e.serveGoodbye(dst, stamp.From, body), true
	}
	if status := e.admit(stamp, op != wire.Read); status != wire.OK {
		return e.refuse(dst, status), true
	}
	var err error
	mark := len(dst)
	switch op {
	case wire.Read:
		dst, err = e.serveRead(dst, body)
	case wire.Store:
		dst, err = e.serveStore(dst, body)
	case wire.Memory:
		dst, err = e.serveMemory(dst, stamp.From, body)
	default:
		dst, err = e.serveVote(dst, body)
	}
	switch {
	case err == nil:
		return dst, true
	case errors.Is(err, wire.ErrMalformed):
		return wire.AppendReply(dst[:mark], wire.Malformed, 0, e.View.Epoch), true
	}
	return dst[:mark], false
}

// serveOffer serves the first copy of a StoreIf, and refuses later ones as unknown (D10, N6). A
// copy must learn whether it is the first before anything else can refuse it as stale or not
// active: the sender takes that for a promise that nothing has been or will be stored. So the
// promise is for the incarnation that keeps the window alone.
func (e *Epoch) serveOffer(dst []byte, stamp wire.Stamp, body []byte) ([]byte, bool) {
	r, err := wire.ParseStoreIf(body)
	if err != nil || r.Record.Tag.Incarnation != stamp.From {
		return wire.AppendReply(dst, wire.Malformed, 0, e.View.Epoch), true
	}
	status, n := e.admit(stamp, false), r.Record.Tag.Counter
	switch {
	case stamp.To != e.Self:
		return e.refuse(dst, wire.WrongDestination), true
	case status == wire.Behind: // the sender brings this node up to date and sends the same again
		return e.refuse(dst, status), true
	case !e.View.Knows(stamp.From): // there is no window to note the copy in, and so no promise
		return e.refuse(dst, wire.WrongDestination), true
	case !e.membership.offers.first(stamp.From, n):
		return wire.AppendReply(dst, wire.Unknown, 0, e.View.Epoch), true
	case status != wire.OK:
		return e.refuse(dst, status), true
	}
	mark := len(dst)
	if dst, err = e.serveStoreIf(dst, &r); err != nil {
		e.membership.offers.forget(stamp.From, n) // nothing was done yet
		return dst[:mark], false
	}
	return dst, true
}

// Serve implements transport.Handler: everything that may wait.
func (s *Server) Serve(ctx context.Context, dst, request []byte) []byte {
	if len(request) > 0 && wire.ControlOp(request[0]) >= wire.FirstControlOp {
		return s.node.Control(ctx, dst, request)
	}
	op, stamp, body, err := wire.ParseRequest(request)
	if err != nil {
		return wire.AppendReply(dst, wire.Malformed, 0, 0)
	}
	if op == wire.Remove {
		return s.serveRemove(ctx, dst, stamp, body)
	}
	for {
		e := s.epoch(stamp)
		if e == nil {
			return wire.AppendReply(dst, wire.WrongCluster, 0, 0)
		}
		switch op {
		case wire.Read, wire.Store, wire.Vote, wire.StoreIf, wire.Memory, wire.Bye:
			out, ok := e.serve(dst, op, stamp, body)
			if ok {
				return out
			}
			e.wait(ctx, transitionTime) // the store is at the next epoch, which is about to be published
			if ctx.Err() != nil || e == s.epoch(stamp) {
				return e.refuse(dst, wire.Overloaded)
			}
		default:
			return e.serveBulk(ctx, dst, op, stamp, body)
		}
	}
}

// transitionTime bounds the wait for the publication of an epoch at which the store already is.
const transitionTime = time.Second

// Refuse implements transport.Handler.
func (s *Server) Refuse(dst, request []byte) []byte {
	if len(request) > 0 && wire.ControlOp(request[0]) >= wire.FirstControlOp {
		return wire.AppendControlReply(dst, &wire.ControlReply{Status: wire.ControlRefused})
	}
	op, stamp, body, err := wire.ParseRequest(request)
	if err == nil && op == wire.Remove {
		_, _, err = s.firstRemove(stamp, body)
	}
	switch {
	case errors.Is(err, errSecondCopy):
		return wire.AppendReply(dst, wire.Unknown, 0, 0)
	case err != nil:
		return wire.AppendReply(dst, wire.Malformed, 0, 0)
	}
	return wire.AppendReply(dst, wire.Overloaded, 0, 0)
}
