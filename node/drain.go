package node

import (
	"time"
)

// goodbyeGrace is how long after a goodbye a remove may still arrive whose sender had not heard the
// goodbye.
const goodbyeGrace = 50 * time.Millisecond

// Drain announces, to any peer that asks, that this node stops soon. The node serves as before, but
// changes of size no longer count on it.
func (n *Node) Drain() { n.draining.Store(true) }

// stopRemoves ends the removes that this node coordinates as the owner of their keys. Only this
// node can tell their senders the outcome. It tells the other members that it is about to stop, so
// that they send it no more removes and ask other members first. It refuses a remove that comes all
// the same. It waits for those under way, for Config.Timeout at most.
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
