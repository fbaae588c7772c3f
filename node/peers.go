package node

import (
	"errors"
	"fmt"
	"time"

	"viakv/node/transport"
	"viakv/node/wire"
	"viakv/quorum"
	"viakv/quorum/version"
)

// peers carries the coordinator's calls over the transport.
type peers struct{ node *Node }

// carrier is the transport's side of one quorum.Call. It stays with its call, so that its buffers are made once.
type carrier struct {
	call  *quorum.Call
	state *state
	link  *link
	tries int
	began time.Time
	wire  transport.Call
}

// Start implements quorum.Peers.
func (peers) Start(v *quorum.View, call *quorum.Call) {
	c, _ := call.Carrier.(*carrier)
	if c == nil {
		c = &carrier{call: call}
		c.wire.Done = c
		call.Carrier = c
	}
	c.state = v.Origin.(*state)
	c.link, c.tries, c.began = c.state.links[call.Member], 0, time.Now()
	c.wire.Urgent = call.Urgent
	c.wire.Request = c.encode(c.wire.Request[:0])
	c.send()
}

// Cancel implements quorum.Peers. A peer that has left the call unanswered for long is asked after the others for a while.
func (p peers) Cancel(call *quorum.Call) bool {
	c := call.Carrier.(*carrier)
	if !p.node.transport.Cancel(&c.wire) {
		return false
	}
	if now := time.Now(); now.Sub(c.began) > slow {
		c.link.suspect(now)
	}
	return true
}

// Likely implements quorum.Peers.
func (peers) Likely(v *quorum.View, member int) bool {
	return v.Origin.(*state).links[member].likely()
}

func (c *carrier) send() {
	c.tries++
	c.state.life.node.transport.Go(c.link.address, transport.Data, &c.wire)
}

func (c *carrier) stamp() wire.Stamp {
	return wire.Stamp{
		Cluster: uint64(c.state.topology.Cluster), Epoch: c.state.view.Epoch,
		To: c.call.Target, From: c.state.self,
	}
}

// fail ends the call without a reply of the replica.
func (c *carrier) fail(err error, nothingDone bool) {
	c.call.Status, c.call.Err, c.call.NotSent = quorum.Failed, err, nothingDone
	c.call.End()
}

// maxTries bounds how often a peer that says it is behind is brought up to date for one call.
const maxTries = 3

// Complete implements transport.Completer, in the goroutine that reads the connection.
func (c *carrier) Complete(*transport.Call) {
	call := c.call
	call.Reply, call.Full, call.Counter, call.NotSent, call.Err = version.Record{}, false, 0, false, nil
	if err := c.wire.Err; err != nil {
		c.link.suspect(time.Now())
		c.fail(err, errors.Is(err, transport.ErrNotSent))
		return
	}
	r, err := wire.ParseReply(c.wire.Reply)
	if err != nil {
		c.fail(fmt.Errorf("a reply of %s: %w", c.link.address, err), false)
		return
	}
	c.link.trust()
	call.Counter = r.Counter
	switch r.Status {
	case wire.Behind:
		if c.tries < maxTries {
			c.state.life.hand(c)
			return
		}
		c.fail(errors.New("the peer does not reach this epoch"), true)
		return
	case wire.Stale:
		c.state.life.learn(r.Epoch, r.Body)
		call.Status = quorum.Stale
	default:
		c.decode(r)
	}
	call.End()
}
