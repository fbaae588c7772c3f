package peer

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"viakv/node/wire"
	"viakv/quorum/lease"
	"viakv/quorum/replica"
	"viakv/quorum/version"
	"viakv/quorum/version/rule"
	"viakv/ring/keyspace"
)

// Node is what the server asks of its node. Only Control may block.
type Node interface {
	// Memberships returns the present membership and the one that a join is preparing. The second
	// is nil when no join is under way.
	Memberships() (present, next *Membership)
	// Control answers a message about the topology. It may block until ctx ends.
	Control(ctx context.Context, dst, request []byte) []byte
}

// Server answers peers. It is the node's transport.Handler.
type Server struct {
	node        Node
	log         *zap.Logger
	removes     recentRequests // the forwarded removes that this node has received
	coordinated atomic.Int64   // how many forwarded removes are under way
	stopping    atomic.Bool
}

// NewServer returns the server of a node.
func NewServer(n Node, log *zap.Logger) *Server { return &Server{node: n, log: log} }

// StopRemoves makes the server refuse removes from now on, because the node is about to stop.
func (s *Server) StopRemoves() { s.stopping.Store(true) }

// Coordinated returns how many removes of peers are under way at this node.
func (s *Server) Coordinated() int64 { return s.coordinated.Load() }

// ServeInline implements transport.Handler. It answers the quorum phases from memory, in the
// goroutine that reads the connection. It also refuses a remove for which there is no room, so that
// such a remove costs no goroutine.
func (s *Server) ServeInline(dst, request []byte) ([]byte, bool) {
	switch op := wire.Op(code(request)); {
	case op == wire.Remove && (s.stopping.Load() || s.coordinated.Load() >= maxCoordinated):
		return s.Refuse(dst, request), true
	case !inline(op):
		return dst, false
	}
	op, stamp, body, err := wire.ParseRequest(request)
	if err != nil {
		return wire.AppendReply(dst, wire.Malformed, 0, 0, 0), true
	}
	e := s.epoch(stamp)
	if e == nil {
		return wire.AppendReply(dst, wire.WrongCluster, 0, 0, 0), true
	}
	return e.serve(dst, op, stamp, body)
}

// code returns the code of a request, and zero, which is no code, of an empty request. The headers
// of control messages and those of other requests have nothing else in common.
func code(request []byte) byte {
	if len(request) == 0 {
		return 0
	}
	return request[0]
}

// inline reports whether requests with a code are answered in place: by Epoch.serve, and not by
// Epoch.serveBulk.
func inline(op wire.Op) bool {
	switch op {
	case wire.Read, wire.Stores, wire.Vote, wire.Heartbeat, wire.Goodbye, wire.Lease, wire.Close:
		return true
	}
	return false
}

// epoch returns the present epoch of the membership that a request is meant for. Among the
// memberships in the request's cluster it prefers the one with the destination's incarnation, then
// the present one. There are two when a node joins the mesh again that it has left. The result is
// nil when this process has no membership in that cluster. The membership learns the sender's
// watermark, which holds whatever becomes of the request.
func (s *Server) epoch(stamp wire.Stamp) *Epoch {
	e := s.find(stamp)
	if e != nil {
		e.membership.Marks.Learn(stamp.From, stamp.Mark)
	}
	return e
}

func (s *Server) find(stamp wire.Stamp) (found *Epoch) {
	present, next := s.node.Memberships()
	for _, m := range [...]*Membership{present, next} {
		if m == nil {
			continue
		}
		e := m.present.Load()
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

// admit checks a stamp (N2). It returns OK when the request may be served at this epoch.
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
	case e.View.Incarnation() == 0 && !pendingToo: // this node does not answer for its slot
		return wire.NotActive
	case !e.View.Knows(stamp.From):
		return wire.NotActive
	}
	return wire.OK
}

// refuse appends the reply to a request that was not admitted. A stale reply carries the topology,
// so that a sender that is behind can catch up at once.
func (e *Epoch) refuse(dst []byte, status wire.Status) []byte {
	dst = e.reply(dst, status)
	if status == wire.Stale {
		dst = append(dst, e.membership.cfg.Host.Document()...)
	}
	return dst
}

// serve answers one phase of a quorum. It returns false when this node is between two epochs and
// the answer must wait for the next epoch.
func (e *Epoch) serve(dst []byte, op wire.Op, stamp wire.Stamp, body []byte) ([]byte, bool) {
	switch op {
	case wire.Goodbye:
		return e.serveGoodbye(dst, stamp.From, body), true
	case wire.Close:
		return e.serveClose(dst, stamp, body), true
	case wire.Lease:
		return e.serveLease(dst, stamp, body)
	}
	if status := e.admit(stamp, op != wire.Read); status != wire.OK {
		return e.refuse(dst, status), true
	}
	var err error
	mark := len(dst)
	switch op {
	case wire.Read:
		dst, err = e.serveRead(dst, body)
	case wire.Stores:
		dst, err = e.serveStores(dst, stamp.From, body)
	case wire.Heartbeat:
		dst, err = e.serveHeartbeat(dst, stamp.From, body)
	default:
		dst, err = e.serveVote(dst, body)
	}
	switch {
	case err == nil:
		return dst, true
	case errors.Is(err, wire.ErrMalformed):
		return wire.AppendReply(dst[:mark], wire.Malformed, 0, 0, e.View.Epoch), true
	}
	return dst[:mark], false
}

// serveRead answers with the replica's record. It answers Same when the record has the tag that the
// coordinator holds, too.
func (e *Epoch) serveRead(dst, body []byte) ([]byte, error) {
	r, err := wire.ParseRead(body)
	if err != nil {
		return dst, err
	}
	hash := e.View.Seed.Hash(r.Key)
	var scratch [scratchSize]byte
	var rec version.Record
	if r.Value {
		rec, _, err = e.Store.Get(e.View.Epoch, hash, r.Key, scratch[:0])
	} else {
		rec, _, err = e.Store.Tag(e.View.Epoch, hash, r.Key, scratch[:0])
	}
	if err != nil {
		return dst, err
	}
	reply := wire.ReadReply{Full: e.Store.Full(), Confirmed: e.View.Confirmed(&rec), Names: e.View.Given.Names(), Record: rec}
	if rule.Broken(rule.RepliesName) {
		reply.Names = nil
	}
	status := wire.OK
	if rec.Tag == r.Have {
		status = wire.Same
	}
	return wire.AppendReadReply(e.reply(dst, status), &reply, status == wire.Same), nil
}

// scratchSize is the size of a buffer that fits most records without growing: the longest value
// with an ordinary vector.
const scratchSize = 1280

// serveStores merges records, in order. When it fails, it may have merged some of them.
func (e *Epoch) serveStores(dst []byte, from version.Incarnation, body []byte) ([]byte, error) {
	var doubted [wire.MaxStores / 8]byte
	n, some := 0, false
	put := func(r *wire.StoreRequest, hash keyspace.Hash) error {
		e.membership.Counter.Observe(r.Record.Tag.Counter)
		top, err := e.Store.Put(e.View.Epoch, hash, r.Key, &r.Record)
		if !top {
			doubted[n/8] |= 1 << (n % 8)
			some = true
		}
		n++
		return err
	}
	r, rest, err := wire.NextStore(body)
	switch {
	case err != nil:
		return dst, err
	case len(rest) == 0:
		err = put(&r, e.View.Seed.Hash(r.Key))
	default:
		err = e.eachStore(body, put)
	}
	if err != nil {
		return dst, err
	}
	ack := wire.Acknowledgement{Names: e.View.Given.Names()} // after the stores (L4)
	if some {
		some, err := e.doubts(doubted[:], ack.Names, from, body)
		if err != nil {
			return dst, err
		}
		if some {
			ack.Doubted = doubted[:(n+7)/8]
		}
	}
	return wire.AppendAcknowledgement(e.reply(dst, wire.OK), &ack), nil
}

// eachStore calls put for each of many records. It looks some records ahead, and warms the store
// for them.
func (e *Epoch) eachStore(body []byte, put func(r *wire.StoreRequest, hash keyspace.Hash) error) error {
	a, n := aheads.Get().(*ahead), 0
	defer func() {
		clear(a.requests[:min(n, len(a.requests))]) // they borrow the body
		aheads.Put(a)
	}()
	for len(body) > 0 {
		k := 0
		for ; k < replica.MaxWarm && len(body) > 0; k++ {
			r, rest, err := wire.NextStore(body)
			if n++; err != nil || n > wire.MaxStores {
				return wire.ErrMalformed
			}
			body, a.requests[k], a.hashes[k] = rest, r, e.View.Seed.Hash(r.Key)
		}
		e.Store.Warm(e.View.Epoch, a.hashes[:k])
		for i := range k {
			if err := put(&a.requests[i], a.hashes[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// ahead is the records that eachStore has looked ahead.
type ahead struct {
	requests [replica.MaxWarm]wire.StoreRequest
	hashes   [replica.MaxWarm]keyspace.Hash
}

var aheads = sync.Pool{New: func() any { return new(ahead) }}

// doubts clears the bits of the records in a body for which the replica vouches, although they were
// not the newest when they came. It reports whether any bit is left.
func (e *Epoch) doubts(doubted []byte, names []lease.Name, from version.Incarnation, body []byte) (some bool, err error) {
	relies := rule.Broken(rule.ReliedOn) && slices.ContainsFunc(names, func(n lease.Name) bool { return n.Holder == from })
	for i := 0; len(body) > 0; i++ {
		r, after, err := wire.NextStore(body)
		if err != nil {
			return false, err
		}
		body = after
		if doubted[i/8]>>(i%8)&1 == 0 {
			continue
		}
		vouches := relies || e.View.Given.Named(lease.Name{Holder: from, Session: r.Relied})
		if !vouches { // the record may have been there already
			var scratch [scratchSize]byte
			own, _, err := e.Store.Tag(e.View.Epoch, e.View.Seed.Hash(r.Key), r.Key, scratch[:0])
			if err != nil {
				return false, err
			}
			vouches = own.Tag == r.Record.Tag
		}
		if vouches {
			doubted[i/8] &^= 1 << (i % 8)
		} else {
			some = true
		}
	}
	return some, nil
}

// serveVote votes for a tombstone, or answers Nack.
func (e *Epoch) serveVote(dst, body []byte) ([]byte, error) {
	r, err := wire.ParseStore(body)
	if err != nil {
		return dst, err
	}
	if !r.Record.Tag.Removed {
		return dst, wire.ErrMalformed
	}
	e.membership.Counter.Observe(r.Record.Tag.Counter)
	voted, err := e.Store.Vote(e.View.Epoch, e.View.Seed.Hash(r.Key), r.Key, &r.Record)
	if err != nil {
		return dst, err
	}
	status := wire.Nack
	if voted {
		status = wire.OK
	}
	return wire.AppendAcknowledgement(e.reply(dst, status), &wire.Acknowledgement{Names: e.View.Given.Names()}), nil
}

// Serve implements transport.Handler. It answers every request that may have to wait.
func (s *Server) Serve(ctx context.Context, dst, request []byte) []byte {
	if wire.ControlOp(code(request)) >= wire.FirstControlOp {
		return s.node.Control(ctx, dst, request)
	}
	op, stamp, body, err := wire.ParseRequest(request)
	if err != nil {
		return wire.AppendReply(dst, wire.Malformed, 0, 0, 0)
	}
	if op == wire.Remove {
		return s.serveRemove(ctx, dst, stamp, body)
	}
	for {
		e := s.epoch(stamp)
		if e == nil {
			return wire.AppendReply(dst, wire.WrongCluster, 0, 0, 0)
		}
		if !inline(op) {
			return e.serveBulk(ctx, dst, op, stamp, body)
		}
		if out, ok := e.serve(dst, op, stamp, body); ok {
			return out
		}
		// The store is at the next epoch already, which is about to be published.
		e.wait(ctx, transitionTime)
		if ctx.Err() != nil || e == s.epoch(stamp) {
			return e.refuse(dst, wire.Overloaded)
		}
	}
}

// transitionTime bounds the wait for the publication of an epoch that the store has reached.
const transitionTime = time.Second

// Refuse implements transport.Handler. It notes the removes that it refuses.
func (s *Server) Refuse(dst, request []byte) []byte {
	if wire.ControlOp(code(request)) >= wire.FirstControlOp {
		return wire.AppendControlReply(dst, &wire.ControlReply{Status: wire.ControlRefused})
	}
	op, stamp, body, err := wire.ParseRequest(request)
	if err == nil && op == wire.Remove {
		_, _, err = s.firstRemove(stamp, body)
	}
	switch {
	case errors.Is(err, errSecondCopy):
		return wire.AppendReply(dst, wire.Unknown, 0, 0, 0)
	case err != nil:
		return wire.AppendReply(dst, wire.Malformed, 0, 0, 0)
	case op == wire.Remove && !s.epoch(stamp).is(stamp.To): // as in serveRemove
		return wire.AppendReply(dst, wire.WrongDestination, 0, 0, 0)
	}
	return wire.AppendReply(dst, wire.Overloaded, 0, 0, 0)
}
