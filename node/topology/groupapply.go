package topology

import (
	"errors"
	"fmt"

	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"
)

// apply applies one committed entry.
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
	next, err := apply(g.topology, e.GetIndex(), c)
	if decided, mine := g.waiting[c.ID]; mine {
		delete(g.waiting, c.ID)
		decided <- err
	}
	if err != nil {
		if !errors.Is(err, errEpoch) { // expected where two leaders follow one another
			g.m.log.Info("a log entry had no effect", zap.String("kind", string(c.Kind)), zap.Error(err))
		}
		return
	}
	if next != g.topology {
		g.topology = next
		g.m.log.Debug("the cluster has agreed on a change", zap.String("kind", string(c.Kind)), zap.String("member", c.Name), zap.Uint64("epoch", uint64(next.Epoch)), zap.Int("slots", next.N()))
		g.m.Learn(next)
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
	g.m.Learn(t)
}

// must stops the process when the agreed log cannot be followed: a member that guessed would
// disagree for ever. It can only be a bug, since the same code writes entries and snapshots.
func (g *group) must(err error) {
	if err != nil {
		panic(fmt.Sprintf("topology: the agreed log cannot be applied: %v", err))
	}
}
