package topology

import (
	"errors"
	"fmt"

	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"
)

// apply takes one committed entry in.
func (g *group) apply(e *raftpb.Entry) {
	switch e.GetType() {
	case raftpb.EntryConfChange:
		change := new(raftpb.ConfChange)
		g.must(proto.Unmarshal(e.GetData(), change))
		g.conf = g.node.ApplyConfChange(change)
		g.publish()
	case raftpb.EntryConfChangeV2:
		change := new(raftpb.ConfChangeV2)
		g.must(proto.Unmarshal(e.GetData(), change))
		g.conf = g.node.ApplyConfChange(change)
		g.publish()
	default:
		if len(e.GetData()) > 0 {
			g.applyCommand(e)
		}
	}
	g.log.note(e.GetIndex(), g.topology, g.conf)
	g.term = e.GetTerm()
}

func (g *group) applyCommand(e *raftpb.Entry) {
	c, err := decodeCommand(e.GetData())
	g.must(err)
	next, err := Apply(g.topology, e.GetIndex(), c)
	if decided, mine := g.waiting[c.ID]; mine {
		delete(g.waiting, c.ID)
		decided <- err
	}
	if err != nil {
		if !errors.Is(err, ErrEpoch) { // two leaders in a row, and the expected end of it
			g.m.log.Info("entry without effect", zap.String("kind", string(c.Kind)), zap.Error(err))
		}
		return
	}
	if next != g.topology {
		g.topology = next
		g.m.log.Info("agreed", zap.String("kind", string(c.Kind)), zap.Uint64("epoch", uint64(next.Epoch)), zap.Int("slots", next.N()))
		g.m.learn(next)
	}
}

// restore begins anew from the leader's snapshot.
func (g *group) restore(s *raftpb.Snapshot) {
	t, err := Decode(s.GetData())
	g.must(err)
	g.must(g.log.ApplySnapshot(s))
	g.topology = t
	g.conf = s.GetMetadata().GetConfState()
	g.log.note(s.GetMetadata().GetIndex(), t, g.conf)
	g.term = s.GetMetadata().GetTerm()
	g.publish()
	g.m.learn(t)
}

// must stops the process where the agreed log cannot be followed: a member that guessed would disagree for ever (17: our own
// invariant; entries and snapshots are written by the same code).
func (g *group) must(err error) {
	if err != nil {
		panic(fmt.Sprintf("topology: the agreed log cannot be applied: %v", err))
	}
}
