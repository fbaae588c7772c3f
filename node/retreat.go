package node

import (
	"context"
	"time"

	"viakv/node/transport"
	"viakv/node/wire"
	"viakv/quorum/version"
)

const (
	// byeTime bounds the telling of the others that this node is about to stop.
	byeTime = 500 * time.Millisecond
	// byeGrace is how long after it a remove may still arrive that was sent before its sender had
	// heard.
	byeGrace = 50 * time.Millisecond
)

// Drain says to whoever asks that this node stops soon. It goes on as before; but the others do not
// count on it any more when a change of size needs members that stay.
func (n *Node) Drain() { n.draining.Store(true) }

// retreat ends what only this node can end: a remove that it coordinates as the key's owner, since
// the sender can learn from nobody else what came of it. It tells the others that it is about to
// stop, so that they send no more and ask other members first, refuses what comes all the same, and
// waits for those under way, which their deadlines bound.
func (n *Node) retreat() {
	n.Drain()
	n.retreating.Store(true)
	s := n.life.Load().state.Load()
	if s == nil || s.self == 0 || len(s.view.Members) < 2 {
		return
	}
	s.sayBye()
	time.Sleep(byeGrace)
	for end := time.Now().Add(n.cfg.Timeout); n.coordinated.Load() > 0 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
}

// sayBye tells the other members that this node is about to stop, and returns when those that are
// there have heard it.
func (s *state) sayBye() {
	ctx, cancel := context.WithTimeout(s.life.ctx, byeTime)
	defer cancel()
	s.askAll(func(m int) {
		to := s.view.Members[m].Incarnation
		if m == s.view.Self || to == 0 {
			return
		}
		stamp := wire.Stamp{Cluster: uint64(s.topology.Cluster), Epoch: s.view.Epoch, To: to, From: s.self}
		_, _ = transport.Ask(ctx, s.life.node.transport, s.links[m].address, transport.Data, wire.AppendRequest(nil, wire.Bye, stamp))
	})
}

// serveBye notes that another member is about to stop, whatever epoch the two are at: an incarnation
// stops for all of them.
func (s *state) serveBye(dst []byte, from version.Incarnation, body []byte) []byte {
	status := wire.OK
	if len(body) != 0 {
		status = wire.Malformed
	} else if k := s.linkTo(from); k != nil {
		k.leaving.Store(uint64(from))
	}
	return wire.AppendReply(dst, status, s.life.clock.Now(), s.view.Epoch)
}
