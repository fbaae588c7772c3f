package topology

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"viakv/api/sleep"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"
)

// group is this process's part in the consensus group of one cluster. One goroutine owns the raft
// node and its log. All other goroutines reach them through do.
type group struct {
	m       *Manager
	cluster ClusterID
	node    *raft.RawNode
	log     *memoryLog

	ctx    context.Context
	cancel context.CancelFunc
	ended  sync.WaitGroup
	inbox  chan *raftpb.Message
	calls  chan func()
	outbox *outbox
	state  atomic.Pointer[groupState]

	// The owning goroutine's fields:
	topology *Topology // the applied topology
	conf     *raftpb.ConfState
	soft     raft.SoftState
	silence  int // ticks since the leader's last message
	// term is that of the last applied entry. It is a leader's own term once everything older is
	// applied.
	term uint64
	// waiting holds the proposals of this process whose outcome is not known yet.
	waiting map[OperationID]chan error
	leader  *leader
}

// groupState is what other goroutines may know of a group. It is immutable.
type groupState struct {
	leader           uint64 // boot ID; zero: none
	voters, learners []uint64
	// leading is set when this process leads and has applied all that its predecessors agreed on.
	leading *leader
}

const inboxSize = 256

// forgetTicks is the number of ticks without a message after which a process counts the leader as
// none. Raft itself says so to voters by then at the latest. It never does where the process has no
// vote: while it learns, and after it was removed.
const forgetTicks = 2 * electionTicks

// newGroup makes this process a voter of the consensus group of t's cluster, or a learner that
// waits for the leader. A process that holds the founding document, or has forked, begins with it
// as the first snapshot of its log. Every other process begins empty and learns the log from the
// leader. An empty log may vote: its process has acknowledged nothing (E6).
func newGroup(m *Manager, t *Topology, forked bool) (*group, error) {
	g := &group{
		m: m, cluster: t.Cluster, log: newMemoryLog(),
		inbox: make(chan *raftpb.Message, inboxSize), calls: make(chan func()),
		conf:    new(raftpb.ConfState),
		waiting: map[OperationID]chan error{},
	}
	g.ctx, g.cancel = context.WithCancel(context.Background())
	g.outbox = newOutbox(m, t.Cluster)
	// The first voters are known at a founding and at a fork. Otherwise the leader's snapshot tells
	// them.
	switch {
	case forked:
		g.conf.Voters = []uint64{m.self.BootID}
	case t.Epoch == firstEpoch:
		for i := range t.Slots {
			g.conf.Voters = append(g.conf.Voters, t.Slots[i].BootID)
		}
	}
	applied := uint64(0)
	if len(g.conf.Voters) > 0 {
		applied = t.LogIndex
		g.topology = t
		if err := g.log.begin(t, g.conf); err != nil {
			return nil, err
		}
	}
	node, err := raft.NewRawNode(&raft.Config{
		ID: m.self.BootID, Storage: g.log, Applied: applied,
		ElectionTick: electionTicks, HeartbeatTick: 1,
		PreVote: true, CheckQuorum: true, StepDownOnRemoval: true, DisableProposalForwarding: true,
		MaxSizePerMsg: 1 << 20, MaxInflightMsgs: 64, MaxUncommittedEntriesSize: 1 << 20,
		Logger: raftLogger{m.log.Named("raft").Sugar()},
	})
	if err != nil {
		return nil, err
	}
	g.node = node
	g.publish()
	if len(g.conf.Voters) > 0 && (forked || t.Founder == m.self.BootID) {
		if err := node.Campaign(); err != nil { // otherwise no voter campaigns for a while
			return nil, err
		}
	}
	return g, nil
}

// stop ends the group and returns when all its goroutines have ended.
func (g *group) stop() {
	g.cancel()
	g.ended.Wait()
	g.outbox.close()
}

func (g *group) snapshot() *groupState { return g.state.Load() }

func (g *group) publish() {
	lead := g.soft.Lead
	if g.forgotten() {
		lead = 0
	}
	g.state.Store(&groupState{
		leader: lead, leading: g.leader,
		voters: slices.Clone(g.conf.Voters), learners: slices.Clone(g.conf.Learners),
	})
	g.m.changed.notify()
}

func (g *group) forgotten() bool { return g.soft.Lead != g.m.self.BootID && g.silence >= forgetTicks }

// hear counts the ticks since the leader's last message: msg, or one tick more without one.
func (g *group) hear(msg *raftpb.Message) {
	before := g.forgotten()
	switch {
	case msg == nil:
		g.silence++
	case msg.GetFrom() == g.soft.Lead:
		g.silence = 0
	}
	if g.forgotten() != before {
		g.publish()
	}
}

func (g *group) run() {
	defer g.resign()
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		for g.node.HasReady() {
			g.advance()
		}
		select {
		case <-ticker.C:
			g.node.Tick()
			g.hear(nil)
			g.outbox.expire(time.Now())
		case msg := <-g.inbox:
			if err := g.node.Step(msg); err != nil {
				g.m.log.Debug("a consensus message was dropped", zap.Error(err))
			}
			g.hear(msg)
		case f := <-g.calls:
			f()
		case <-g.outbox.wake:
			for _, r := range g.outbox.take() {
				g.report(r)
			}
		case <-g.ctx.Done():
			return
		}
	}
}

// report tells raft what became of a message.
func (g *group) report(r sendResult) {
	if r.snapshot {
		status := raft.SnapshotFinish
		if r.failed {
			status = raft.SnapshotFailure
		}
		g.node.ReportSnapshot(r.to, status)
	}
	if r.failed {
		g.node.ReportUnreachable(r.to)
	}
}

// advance does what one Ready of raft asks for: it keeps, sends and applies.
func (g *group) advance() {
	rd := g.node.Ready()
	if rd.Snapshot != nil && !raft.IsEmptySnap(rd.Snapshot) {
		g.restore(rd.Snapshot)
	}
	g.log.keep(rd.HardState, rd.Entries)
	for _, msg := range rd.Messages {
		g.outbox.send(msg)
	}
	for _, e := range rd.CommittedEntries {
		g.apply(e)
	}
	g.node.Advance(rd)
	g.log.compact()
	if rd.SoftState != nil {
		if rd.SoftState.Lead != g.soft.Lead {
			g.silence = 0
		}
		g.soft = *rd.SoftState
		g.publish()
	}
	g.follow()
}

// follow starts or ends this process's leadership.
func (g *group) follow() {
	leads := g.soft.RaftState == raft.StateLeader
	switch {
	case !leads && g.leader != nil:
		g.resign()
		g.publish()
	case leads && g.leader == nil && g.term == g.node.BasicStatus().GetTerm() && g.topology != nil:
		g.leader = newLeader(g)
		g.ended.Go(g.leader.run)
		g.publish()
	}
}

// resign ends the leadership. It does not wait for the leader's goroutine, which may be waiting for
// this one.
func (g *group) resign() {
	if g.leader != nil {
		g.leader.cancel()
		g.leader = nil
	}
	for id, decided := range g.waiting {
		decided <- errOpen
		delete(g.waiting, id)
	}
}

// do runs f in the group's goroutine and waits for it. False: the group or ctx has ended.
func (g *group) do(ctx context.Context, f func()) bool {
	done := make(chan struct{})
	select {
	case g.calls <- func() { defer close(done); f() }:
	case <-ctx.Done():
		return false
	case <-g.ctx.Done():
		return false
	}
	<-done
	return true
}

// propose brings a command to a decision. It returns nil when the command took effect, errOpen when
// that is not known, and otherwise why it never will.
func (g *group) propose(ctx context.Context, c *command) error {
	decided := make(chan error, 1)
	var err error
	ok := g.do(ctx, func() {
		if err = g.node.Propose(encodeJSON(c)); err == nil {
			g.waiting[c.ID] = decided
		}
	})
	switch {
	case !ok:
		return errOpen
	case err != nil:
		return errEpoch // dropped before it was logged: nothing happened, look again
	}
	select {
	case err = <-decided:
		return err
	case <-ctx.Done():
		return errOpen
	case <-g.ctx.Done():
		return errOpen
	}
}

// change proposes one change of the voters, and waits until it shows, at most for an election's
// time: raft drops a change without notice when another one is under way. Where raft refuses the
// change, change returns after a tick.
func (g *group) change(ctx context.Context, kind raftpb.ConfChangeType, boot uint64) {
	change := &raftpb.ConfChange{Type: kind.Enum(), NodeId: &boot}
	var err error
	if !g.do(ctx, func() { err = g.node.ProposeConfChange(change) }) {
		return
	}
	if err != nil { // raft takes no change while a transfer of the lead is under way
		sleep.For(ctx, tick)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, electionTicks*tick)
	defer cancel()
	_ = g.m.changed.until(ctx, func() bool { return g.snapshot().reflects(kind, boot) })
}

// reflects reports whether the voters are as a change of this kind leaves them.
func (s *groupState) reflects(kind raftpb.ConfChangeType, boot uint64) bool {
	switch kind {
	case raftpb.ConfChangeAddNode:
		return slices.Contains(s.voters, boot)
	case raftpb.ConfChangeAddLearnerNode:
		return slices.Contains(s.learners, boot)
	}
	return !slices.Contains(s.voters, boot) && !slices.Contains(s.learners, boot)
}

// caughtUp returns the processes that have acknowledged everything that is committed. Only the
// leader's group knows them.
func (g *group) caughtUp(ctx context.Context) map[uint64]bool {
	up := map[uint64]bool{}
	g.do(ctx, func() {
		s := g.node.Status()
		for id, p := range s.Progress {
			if p.Match >= s.GetCommit() && (p.RecentActive || id == g.m.self.BootID) {
				up[id] = true
			}
		}
	})
	return up
}

// transfer asks a voter to take the lead.
func (g *group) transfer(ctx context.Context, boot uint64) {
	g.do(ctx, func() { g.node.TransferLeader(boot) })
}
