package peer

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"

	"viakv/api/kv"
	"viakv/node/wire"
	"viakv/quorum/version"
)

// maxCoordinated bounds the removes that this node coordinates for its peers at a time. A remove
// beyond it is refused, and its sender coordinates it itself, which costs no more. The bound is
// lower than the number of requests that one connection may have waiting, so that removes leave
// room for the messages of the consensus group.
const maxCoordinated = 256

// errSecondCopy reports a request that the network has delivered before.
var errSecondCopy = errors.New("peer: a second copy of a request")

// firstRemove decodes a Remove request and notes it, or reports a second copy of it. The sender of
// a refused remove does the remove itself. So a copy that arrives after a refusal must not be
// carried out.
func (s *Server) firstRemove(stamp wire.Stamp, body []byte) (r wire.RemoveRequest, id requestID, err error) {
	if r, err = wire.ParseRemove(body); err != nil {
		return r, id, err
	}
	id = requestID{stamp.Cluster, version.Operation{Incarnation: stamp.From, Sequence: r.Sequence}}
	if !s.removes.first(id, time.Now()) {
		return r, id, errSecondCopy
	}
	return r, id, nil
}

// serveRemove coordinates a remove for a peer, as the key's owner. A refusal makes the sender do
// the remove itself. So a copy of a remove that is under way must not be refused, even if this
// node's epoch has changed since. A copy that arrives after a refusal must not be carried out.
//
// An earlier copy may have reached the process that had this node's address before, which may have
// carried it out. So a remove that is meant for another process is answered WrongDestination or
// WrongCluster, which shows nothing (refusedForGood).
func (s *Server) serveRemove(ctx context.Context, dst []byte, stamp wire.Stamp, body []byte) []byte {
	s.coordinated.Add(1)
	defer s.coordinated.Add(-1)
	r, id, err := s.firstRemove(stamp, body)
	switch {
	case errors.Is(err, errSecondCopy):
		// The answer is what came of the first copy, which this copy does not know.
		return wire.AppendReply(dst, wire.Unknown, 0, 0, 0)
	case err != nil:
		return wire.AppendReply(dst, wire.Malformed, 0, 0, 0)
	}
	// The epoch is looked up only after the request was noted. So if another copy was refused as
	// stale earlier, the later epoch that refused it is visible here.
	e := s.epoch(stamp)
	if e == nil {
		return wire.AppendReply(dst, wire.WrongCluster, 0, 0, 0)
	}
	switch status := e.admit(stamp, false); {
	case status == wire.OK:
	case status == wire.Behind:
		s.removes.forget(id) // the sender updates this node and sends the same request again
		return e.refuse(dst, status)
	case !e.is(stamp.To):
		return e.refuse(dst, wire.WrongDestination) // before any refusal on which the sender relies
	default:
		return e.refuse(dst, status)
	}
	o := kv.Options{R: r.R, W: r.W, Deadline: time.Now().Add(r.Left), Trace: r.Trace}
	status, why := wire.OK, ""
	var u *kv.Unavailable
	switch err := e.membership.cfg.Host.Remove(ctx, r.Key, o); {
	case err == nil:
	case errors.Is(err, kv.ErrMissing):
		status = wire.Missing
	case errors.As(err, &u) && u.Outcome == kv.Unknown:
		status = wire.Unknown
		if errors.Is(err, kv.ErrContended) {
			why = wire.Contended
		}
	default:
		status = wire.NotActive // nothing was done: the sender does the remove itself
	}
	if entry := s.log.Check(zap.DebugLevel, "coordinated a remove for another member"); entry != nil {
		fields := []zap.Field{zap.Uint64("incarnation", uint64(stamp.From)), zap.Stringer("status", status)}
		if !r.Trace.IsZero() {
			fields = append(fields, zap.Stringer("traceparent", r.Trace))
		}
		entry.Write(fields...)
	}
	return append(e.reply(dst, status), why...)
}

// refusedForGood reports whether a peer that refuses a remove with a status has done nothing of it,
// and will not: the process that was meant has noted the remove, and refuses it.
func refusedForGood(s wire.Status) bool {
	return s == wire.NotActive || s == wire.Overloaded
}

// is reports whether the epoch's membership is that of an incarnation.
func (e *Epoch) is(i version.Incarnation) bool { return e != nil && e.Self == i }

// recentRequests remembers the requests that must not be carried out twice, in case the network
// delivers them twice (T1, N6). It keeps two spans of time and forgets what is older. So its memory
// is bounded by the rate of such requests.
type recentRequests struct {
	mu       sync.Mutex
	now, old map[requestID]struct{}
	turned   time.Time
}

// requestID names a request. It contains the cluster because two clusters may use the same
// incarnations.
type requestID struct {
	cluster uint64
	version.Operation
}

// recentSpan is longer than any copy of a request travels. By then the coordinator has given the
// request up, and the connections that carried it are gone.
const recentSpan = 30 * time.Second

// first reports whether the request has not been seen before.
func (r *recentRequests) first(id requestID, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.now == nil || now.Sub(r.turned) > recentSpan {
		r.old, r.now, r.turned = r.now, map[requestID]struct{}{}, now
	}
	if _, seen := r.now[id]; seen {
		return false
	}
	if _, seen := r.old[id]; seen {
		return false
	}
	r.now[id] = struct{}{}
	return true
}

// forget makes the next copy of a request count as the first. This copy has done nothing, and its
// sender will send the request again.
func (r *recentRequests) forget(id requestID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.now, id)
	delete(r.old, id)
}
