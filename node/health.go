package node

import (
	"cmp"
	"context"
	"strings"
	"time"

	"go.uber.org/zap"

	"viakv/api/health"
	"viakv/api/kv"
	"viakv/api/sleep"
	"viakv/node/topology"
	"viakv/node/transport"
)

// This file gathers what the node knows of its cluster, has it judged by package health, and tells
// what has changed.

// lookEvery is how often a node looks at its cluster of its own accord.
const lookEvery = 200 * time.Millisecond

// watchHealth looks at the cluster, and at how this node answers reads, until ctx ends. So each
// change is noticed within lookEvery.
func (n *Node) watchHealth(ctx context.Context) {
	for {
		n.look()
		n.tellReading(time.Now())
		if !sleep.For(ctx, lookEvery) {
			return
		}
	}
}

// beat sends heartbeats to the other members until the membership is over or ctx ends.
func (m *membership) beat(ctx context.Context) {
	for ctx.Err() == nil && !m.peerSide.Sealed() {
		m.state.Load().Watch(ctx)
		if ctx.Err() == nil {
			m.node.look()
		}
	}
}

// look returns what the node knows of its cluster, and the verdict on it. It notes and logs what
// has changed since the last look.
func (n *Node) look() (health.Facts, health.Verdict) {
	return n.health.Observe(time.Now(), n.facts, func(e health.Event) {
		fields := []zap.Field{zap.String("event", e.Name)}
		if e.Member != "" {
			fields = append(fields, zap.String("member", e.Member))
		}
		n.log.Info(e.Text, fields...)
	})
}

// facts returns what the node knows of its cluster.
func (n *Node) facts() health.Facts {
	m := n.present.Load()
	status := m.manager.Status()
	s := m.state.Load() // read after the status, so that it is at least as new
	f := health.Facts{Self: n.cfg.Name}
	if err := n.outside(m, s); err != nil {
		f.Outside = err.Reason
	}
	if s == nil {
		return f
	}
	t := s.topology
	f.Cluster, f.Generation, f.N, f.R, f.W = t.Cluster.String(), uint64(t.Generation), t.N(), t.R(), t.W()
	f.Leases, f.Leader = t.Reads == kv.ReadsLease, status.Leader
	for _, c := range t.Forks {
		f.Continues = append(f.Continues, c.String())
	}
	for i := range t.Slots {
		f.Members = append(f.Members, s.seen(i, t.Slots[i].State()))
	}
	if t.Joining != nil {
		f.Members = append(f.Members, s.seen(t.N(), health.Joining))
	}
	return f
}

// seen returns what this node knows of a member.
func (s *state) seen(i int, as string) health.Member {
	out := health.Member{Name: s.View.Members[i].Name, State: as, Reach: s.Reach(i)}
	if r := s.Memory(i); r != nil {
		out.Full = r.Full
	}
	return out
}

// outside returns why this node takes no requests at a state of a membership, whatever the other
// members do, and nil when it takes them. A nil state: the membership belongs to no cluster yet.
func (n *Node) outside(m *membership, s *state) *kv.Unavailable {
	switch {
	case n.frozen.Load():
		return &kv.Unavailable{Outcome: kv.None, Reason: "the node goes over to another mesh, or is stopping"}
	case m.ended() != nil:
		return &kv.Unavailable{Outcome: kv.None, Reason: strings.TrimPrefix(m.ended().Error(), "topology: "), Err: m.ended()}
	case s == nil:
		status := m.manager.Status()
		return &kv.Unavailable{Outcome: kv.None, Reason: cmp.Or(status.Reason, "the node has just started"), Err: status.Cause}
	case s.View.Incarnation() == 0:
		if s.role == topology.Stranger {
			return &kv.Unavailable{Outcome: kv.None, Reason: kv.ErrNotMember.Error(), Err: kv.ErrNotMember}
		}
		how, err := m.progress()
		return &kv.Unavailable{Outcome: kv.None, Reason: "the node is " + s.role.String() + ": " + how, Err: err}
	case m.peerSide.Sealed():
		return &kv.Unavailable{Outcome: kv.None, Reason: "the node is stopping, or its membership is over"}
	}
	return nil
}

// ended returns why the membership has ended, and nil while it goes on and after a leave.
func (m *membership) ended() error {
	select {
	case <-m.over:
		return m.err
	default:
		return nil
	}
}

// Ready implements kv.Store. It returns nil when this node answers reads, and otherwise the reason
// why it does not.
func (n *Node) Ready(context.Context) error {
	m := n.present.Load()
	_, verdict := n.look()
	return n.unready(m, m.state.Load(), &verdict)
}

// unready returns why this node answers no reads, and nil when it does.
func (n *Node) unready(m *membership, s *state, v *health.Verdict) error {
	if err := n.outside(m, s); err != nil {
		return err
	}
	switch {
	case n.admitted():
		return &kv.Unavailable{Outcome: kv.None, Reason: "the node is joining another mesh and copies its keys; clients that ask for its own are answered meanwhile"}
	case !v.CanRead:
		return &kv.Unavailable{Outcome: kv.None, Reason: v.Reason, Err: kv.ErrTooFewReplicas}
	}
	return nil
}

// admitted reports whether another mesh has admitted this node, and may count on it as a member at
// any moment. A balancer that asks that mesh for its members must send nothing here before the node
// has moved: the node would answer from its former membership.
func (n *Node) admitted() bool {
	next := n.next.Load()
	if next == nil {
		return false
	}
	s := next.state.Load()
	return s != nil && s.role != topology.Stranger
}

// Events implements kv.Cluster.
func (n *Node) Events() *health.Log { return &n.health.Events }

// Status implements kv.Cluster.
func (n *Node) Status() kv.Status {
	m := n.present.Load()
	status := m.manager.Status()
	s := m.state.Load() // read after the status, so that it is at least as new
	facts, verdict := n.look()
	out := kv.Status{Mode: "mesh", Self: n.cfg.Name, State: status.State, Leader: status.Leader, Reason: n.unready(m, s, &verdict), Health: verdict}
	if out.Reason == nil {
		out.Reason = waiting(status)
	}
	if next := n.next.Load(); next != nil {
		out.State, out.Reason = "joining", waiting(next.manager.Status())
	}
	if s == nil {
		return out
	}
	// The node belongs to a cluster: show the agreed topology and what this node holds.
	t := s.topology
	stats := s.Store.Stats()
	out.Cluster, out.Epoch, out.Generation, out.Purge = t.Cluster.String(), t.Epoch, t.Generation, t.Purge
	out.N, out.R, out.W = t.N(), t.R(), t.W()
	out.Read, out.Write, out.AllowWeak = t.ReadQuorum, t.WriteQuorum, t.AllowWeak
	out.Reads, out.Lease = t.Reads, t.Lease
	out.Keys, out.Tombstones = int64(stats.Keys), int64(stats.Tombstones)
	out.Bytes, out.MaxBytes = stats.Bytes, n.cfg.MaxBytes
	out.Digest = showDigest(s.Store.Root(), t.CursorKey)
	if !s.Store.Full() {
		if name, bytes := s.short(); name != "" {
			out.Larger, out.LargerBytes = name, bytes
		}
	}
	if c := t.Change; c != nil {
		out.Unsettled = &kv.SizeChange{Member: c.Joined + c.Left, Epoch: c.Epoch, Waits: c.Owe}
	}
	// The members: the slots, then the member that is joining.
	for i := range t.Slots {
		slot := &t.Slots[i]
		member := m.member(s, i)
		member.State, member.HTTP = slot.State(), slot.HTTP
		member.Ownership = s.View.Ring.Ownership(i)
		out.Members = append(out.Members, member)
	}
	if c := t.Joining; c != nil {
		member := m.member(s, t.N())
		member.State, member.HTTP = health.Joining, c.HTTP
		out.Members = append(out.Members, member)
	}
	if s.View.Self >= 0 && s.View.Self < len(out.Members) {
		out.Members[s.View.Self].Reading = n.readingNow()
	}
	for i := range out.Members {
		for k := range facts.Members {
			if f := &facts.Members[k]; f.Name == out.Members[i].Name {
				out.Members[i].Reach, out.Members[i].Since = f.Reach, f.Since
			}
		}
	}
	return out
}

// waiting returns what a manager waits for, as the reason of a status. It is nil when the manager
// waits for nothing.
func waiting(s topology.Status) error {
	if s.Reason == "" {
		return nil
	}
	return &kv.Unavailable{Outcome: kv.None, Reason: s.Reason, Err: s.Cause}
}

// member describes a member from what this node knows, without asking a peer.
func (m *membership) member(s *state, i int) kv.Member {
	member := &s.View.Members[i]
	out := kv.Member{Name: member.Name, Peer: member.Address, Incarnation: member.Holder()}
	if r := s.Memory(i); r != nil {
		out.Bytes, out.MaxBytes, out.Full = int64(r.Bytes), int64(r.Limit), r.Full
	}
	if i == s.View.Self {
		out.Sync = m.driver.Progress()
		return out
	}
	out.Figures = s.Figures(i)
	out.RTT = m.node.transport.Health(transport.Address(member.Address)).RTT
	out.Hints = m.driver.Hints(member.Holder())
	out.Sync = m.driver.RepairWith(member.Holder())
	return out
}
