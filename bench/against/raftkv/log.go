package raftkv

import (
	"io"
	"log"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
)

// memoryLog is the log of a node. The log is cut while it grows. A node that lacks what was cut
// gets a snapshot, which is made when raft asks for it.
type memoryLog struct {
	*raft.MemoryStorage
	store   *store
	conf    *raftpb.ConfState
	applied uint64
}

const (
	firstIndex = uint64(1)
	firstTerm  = uint64(1)

	// keepEntries is the least number of applied entries that stay, for nodes that are behind.
	keepEntries = 1024
)

// newMemoryLog returns a log that begins after an agreement on the members, as if all of them had
// made it in term 1.
func newMemoryLog(s *store, members int) (*memoryLog, error) {
	l := &memoryLog{MemoryStorage: raft.NewMemoryStorage(), store: s, conf: new(raftpb.ConfState), applied: firstIndex}
	for i := range members {
		l.conf.Voters = append(l.conf.Voters, uint64(i+1))
	}
	index, term := firstIndex, firstTerm
	if err := l.ApplySnapshot(&raftpb.Snapshot{Metadata: &raftpb.SnapshotMetadata{ConfState: l.conf, Index: &index, Term: &term}}); err != nil {
		return nil, err
	}
	return l, l.SetHardState(&raftpb.HardState{Term: &term, Commit: &index})
}

// keep appends what raft wants kept.
func (l *memoryLog) keep(rd *raft.Ready) error {
	if rd.HardState != nil && !raft.IsEmptyHardState(rd.HardState) {
		if err := l.SetHardState(rd.HardState); err != nil {
			return err
		}
	}
	return l.Append(rd.Entries)
}

// cut removes old entries once there are twice as many as are kept.
func (l *memoryLog) cut() error {
	first, err := l.FirstIndex()
	if err != nil || l.applied < first+2*keepEntries {
		return err
	}
	return l.Compact(l.applied - keepEntries)
}

// Snapshot implements raft.Storage. Raft calls it in the goroutine that is at work.
func (l *memoryLog) Snapshot() (*raftpb.Snapshot, error) {
	index := l.applied
	term, err := l.Term(index)
	if err != nil {
		return nil, err
	}
	return &raftpb.Snapshot{Data: l.store.encode(), Metadata: &raftpb.SnapshotMetadata{ConfState: l.conf, Index: &index, Term: &term}}, nil
}

// restore begins anew with a snapshot of the leader.
func (l *memoryLog) restore(s *raftpb.Snapshot) error {
	if err := l.ApplySnapshot(s); err != nil {
		return err
	}
	l.applied = s.GetMetadata().GetIndex()
	return l.store.restore(s.GetData())
}

// quiet is a logger that says nothing, and panics where raft wants a panic.
var quiet = &raft.DefaultLogger{Logger: log.New(io.Discard, "", 0)}
