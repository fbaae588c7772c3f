package topology

import (
	"context"
	"maps"
	"slices"
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
	box      *outbox
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
func (b *outbox) send(msg *raftpb.Message) {
	to, t := msg.GetTo(), b.m.newest()
	snapshot := msg.GetType() == raftpb.MsgSnap
	id := t.process(to)
	body, err := proto.Marshal(msg)
	b.mu.Lock()
	full := len(b.inFlight) >= maxOutgoing
	b.mu.Unlock()
	if id == nil || err != nil || full {
		b.report(sendResult{to, snapshot, true})
		return
	}
	c := wire.Control{Op: wire.OpRaft, Cluster: uint64(b.cluster), To: to, From: b.m.self.BootID, Epoch: t.Epoch, Body: body}
	o := &outgoing{box: b, to: to, snapshot: snapshot}
	o.Request, o.Done, o.Urgent = wire.AppendControl(nil, &c), o, true
	b.mu.Lock()
	b.inFlight[o] = time.Now()
	b.mu.Unlock()
	b.m.cfg.Transport.Go(id.Peer, transport.Data, &o.Call)
}

// Complete notes the end of a message. It does not block (T2).
func (o *outgoing) Complete(c *transport.Call) {
	failed := c.Err != nil
	if !failed {
		r, err := wire.ParseControlReply(c.Reply)
		failed = err != nil || r.Status != wire.ControlOK
	}
	o.box.mu.Lock()
	delete(o.box.inFlight, o)
	o.box.mu.Unlock()
	if failed || o.snapshot {
		o.box.report(sendResult{o.to, o.snapshot, failed})
	}
}

func (b *outbox) report(r sendResult) {
	b.mu.Lock()
	b.results = append(b.results, r)
	b.mu.Unlock()
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

func (b *outbox) take() []sendResult {
	b.mu.Lock()
	defer b.mu.Unlock()
	d := b.results
	b.results = nil
	return d
}

// expire withdraws messages that got no reply in callTimeout: a lost one would take up room for
// ever.
func (b *outbox) expire(now time.Time) {
	var old []*outgoing
	b.mu.Lock()
	for o, since := range b.inFlight {
		if now.Sub(since) > callTimeout {
			old = append(old, o)
		}
	}
	b.mu.Unlock()
	for _, o := range old {
		b.withdraw(o)
	}
}

func (b *outbox) withdraw(o *outgoing) {
	if !b.m.cfg.Transport.Cancel(&o.Call) {
		return // the call completes by itself
	}
	b.mu.Lock()
	delete(b.inFlight, o)
	b.mu.Unlock()
	b.report(sendResult{o.to, o.snapshot, true})
}

// close withdraws every message.
func (b *outbox) close() {
	b.mu.Lock()
	all := slices.Collect(maps.Keys(b.inFlight))
	b.mu.Unlock()
	for _, o := range all {
		b.withdraw(o)
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
