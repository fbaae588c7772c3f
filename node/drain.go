package node

import (
	"time"
)

// goodbyeGrace is how long after a goodbye a remove may still arrive that was sent before its sender
// had heard.
const goodbyeGrace = 50 * time.Millisecond

// Drain says to whoever asks that this node stops soon. It goes on as before; but the others do not
// count on it any more when a change of size needs members that stay.
func (n *Node) Drain() { n.draining.Store(true) }

// stopRemoves ends what only this node can end: a remove that it coordinates as the key's owner, since
// the sender can learn from nobody else what came of it. It tells the others that it is about to
// stop, so that they send no more and ask other members first, refuses what comes all the same, and
// waits for those under way, which their deadlines bound.
func (n *Node) stopRemoves() {
	n.Drain()
	n.server.StopRemoves()
	m := n.present.Load()
	s := m.state.Load()
	if s == nil || s.Self == 0 || len(s.View.Members) < 2 {
		return
	}
	s.SayGoodbye(m.ctx)
	time.Sleep(goodbyeGrace)
	for end := time.Now().Add(n.cfg.Timeout); n.server.Coordinated() > 0 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
}
