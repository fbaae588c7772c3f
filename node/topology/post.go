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

// maxLetters bounds the consensus messages under way. Raft sends again what is dropped.
const maxLetters = 256

// post carries the group's messages. Raft wants no answers; a reply only shows that the message arrived.
type post struct {
	m       *Manager
	cluster ClusterID
	wake    chan struct{} // holds a token: there are deliveries

	mu         sync.Mutex
	under      map[*letter]time.Time
	deliveries []delivery
}

// letter is one message under way.
type letter struct {
	transport.Call
	p        *post
	to       uint64
	snapshot bool
}

// delivery is what became of a message.
type delivery struct {
	to               uint64
	snapshot, failed bool
}

func newPost(m *Manager, cluster ClusterID) *post {
	return &post{m: m, cluster: cluster, wake: make(chan struct{}, 1), under: map[*letter]time.Time{}}
}

// send starts one message on its way, or drops it.
func (p *post) send(msg *raftpb.Message) {
	to, t := msg.GetTo(), p.m.newest()
	snapshot := msg.GetType() == raftpb.MsgSnap
	id := t.process(to)
	body, err := proto.Marshal(msg)
	p.mu.Lock()
	full := len(p.under) >= maxLetters
	p.mu.Unlock()
	if id == nil || err != nil || full {
		p.deliver(delivery{to, snapshot, true})
		return
	}
	c := wire.Control{Op: wire.OpRaft, Cluster: uint64(p.cluster), To: to, From: p.m.self.Boot, Epoch: t.Epoch, Body: body}
	l := &letter{p: p, to: to, snapshot: snapshot}
	l.Request, l.Done, l.Urgent = wire.AppendControl(nil, &c), l, true
	p.mu.Lock()
	p.under[l] = time.Now()
	p.mu.Unlock()
	p.m.cfg.Transport.Go(id.Peer, transport.Data, &l.Call)
}

// Complete notes the end of a message (T2: it only notes).
func (l *letter) Complete(c *transport.Call) {
	failed := c.Err != nil
	if !failed {
		r, err := wire.ParseControlReply(c.Reply)
		failed = err != nil || r.Status != wire.ControlOK
	}
	l.p.mu.Lock()
	delete(l.p.under, l)
	l.p.mu.Unlock()
	if failed || l.snapshot {
		l.p.deliver(delivery{l.to, l.snapshot, failed})
	}
}

func (p *post) deliver(d delivery) {
	p.mu.Lock()
	p.deliveries = append(p.deliveries, d)
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

func (p *post) take() []delivery {
	p.mu.Lock()
	defer p.mu.Unlock()
	d := p.deliveries
	p.deliveries = nil
	return d
}

// expire withdraws messages that got no reply: a lost one would take up room for ever.
func (p *post) expire(now time.Time) {
	var old []*letter
	p.mu.Lock()
	for l, since := range p.under {
		if now.Sub(since) > p.m.cfg.CallTimeout {
			old = append(old, l)
		}
	}
	p.mu.Unlock()
	for _, l := range old {
		p.withdraw(l)
	}
}

func (p *post) withdraw(l *letter) {
	if !p.m.cfg.Transport.Cancel(&l.Call) {
		return // completes by itself
	}
	p.mu.Lock()
	delete(p.under, l)
	p.mu.Unlock()
	p.deliver(delivery{l.to, l.snapshot, true})
}

// close withdraws everything.
func (p *post) close() {
	p.mu.Lock()
	var all []*letter
	for l := range p.under {
		all = append(all, l)
	}
	p.mu.Unlock()
	for _, l := range all {
		p.withdraw(l)
	}
}

// serveRaft takes a message of the consensus group in, if it is meant for this process and comes from a process of
// this cluster (D1). The address that was dialled proves nothing.
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
	case msg.GetTo() != m.self.Boot || msg.GetFrom() != c.From || msg.GetFrom() == 0:
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
