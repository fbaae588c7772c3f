package topology

import (
	"context"
	"sync"
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"viakv/node/transport"
	"viakv/node/wire"
)

// maxOutgoing bounds the consensus messages under way. Raft sends again what is dropped.
const maxOutgoing = 256

// outbox sends the group's messages. Raft wants no answers: a reply only shows that a message has
// arrived.
type outbox struct {
	m       *Manager
	cluster ClusterID
	wake    chan struct{} // holds a token: there are results

	mu       sync.Mutex
	inFlight map[*outgoing]time.Time
	results  []sendResult
}

// outgoing is one message under way.
type outgoing struct {
	transport.Call
	p        *outbox
	to       uint64
	snapshot bool
}

// sendResult is the outcome of sending a message.
type sendResult struct {
	to               uint64
	snapshot, failed bool
}

func newOutbox(m *Manager, cluster ClusterID) *outbox {
	return &outbox{m: m, cluster: cluster, wake: make(chan struct{}, 1), inFlight: map[*outgoing]time.Time{}}
}

// send starts one message, or drops it.
func (p *outbox) send(msg *raftpb.Message) {
	to, t := msg.GetTo(), p.m.newest()
	snapshot := msg.GetType() == raftpb.MsgSnap
	id := t.process(to)
	body, err := proto.Marshal(msg)
	p.mu.Lock()
	full := len(p.inFlight) >= maxOutgoing
	p.mu.Unlock()
	if id == nil || err != nil || full {
		p.report(sendResult{to, snapshot, true})
		return
	}
	c := wire.Control{Op: wire.OpRaft, Cluster: uint64(p.cluster), To: to, From: p.m.self.BootID, Epoch: t.Epoch, Body: body}
	o := &outgoing{p: p, to: to, snapshot: snapshot}
	o.Request, o.Done, o.Urgent = wire.AppendControl(nil, &c), o, true
	p.mu.Lock()
	p.inFlight[o] = time.Now()
	p.mu.Unlock()
	p.m.cfg.Transport.Go(id.Peer, transport.Data, &o.Call)
}

// Complete notes the end of a message. It does not block (T2).
func (o *outgoing) Complete(c *transport.Call) {
	failed := c.Err != nil
	if !failed {
		r, err := wire.ParseControlReply(c.Reply)
		failed = err != nil || r.Status != wire.ControlOK
	}
	o.p.mu.Lock()
	delete(o.p.inFlight, o)
	o.p.mu.Unlock()
	if failed || o.snapshot {
		o.p.report(sendResult{o.to, o.snapshot, failed})
	}
}

func (p *outbox) report(d sendResult) {
	p.mu.Lock()
	p.results = append(p.results, d)
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

func (p *outbox) take() []sendResult {
	p.mu.Lock()
	defer p.mu.Unlock()
	d := p.results
	p.results = nil
	return d
}

// expire withdraws messages that got no reply in CallTimeout: a lost one would take up room for
// ever.
func (p *outbox) expire(now time.Time) {
	var old []*outgoing
	p.mu.Lock()
	for o, since := range p.inFlight {
		if now.Sub(since) > p.m.cfg.CallTimeout {
			old = append(old, o)
		}
	}
	p.mu.Unlock()
	for _, o := range old {
		p.withdraw(o)
	}
}

func (p *outbox) withdraw(o *outgoing) {
	if !p.m.cfg.Transport.Cancel(&o.Call) {
		return // the call completes by itself
	}
	p.mu.Lock()
	delete(p.inFlight, o)
	p.mu.Unlock()
	p.report(sendResult{o.to, o.snapshot, true})
}

// close withdraws every message.
func (p *outbox) close() {
	p.mu.Lock()
	var all []*outgoing
	for o := range p.inFlight {
		all = append(all, o)
	}
	p.mu.Unlock()
	for _, o := range all {
		p.withdraw(o)
	}
}

// serveRaft takes in a message of the consensus group, if it is meant for this process and comes
// from a process of this cluster (D1). The address that was dialled proves nothing.
func (m *Manager) serveRaft(ctx context.Context, c *wire.Control) wire.ControlStatus {
	msg := new(raftpb.Message)
	if err := proto.Unmarshal(c.Body, msg); err != nil {
		return wire.ControlMalformed
	}
	m.mu.Lock()
	g := m.group
	m.mu.Unlock()
	switch {
	case g == nil || uint64(g.cluster) != c.Cluster:
		return wire.ControlWrongCluster
	case msg.GetTo() != m.self.BootID || msg.GetFrom() != c.From || msg.GetFrom() == 0:
		return wire.ControlMalformed
	case msg.GetType() == raftpb.MsgProp || raft.IsLocalMsg(msg.GetType()):
		return wire.ControlMalformed
	}
	select {
	case g.inbox <- msg:
		return wire.ControlOK
	case <-g.ctx.Done():
		return wire.ControlClosed
	case <-ctx.Done():
		return wire.ControlRefused
	}
}
