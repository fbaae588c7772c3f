package topology

import (
	"errors"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"
)

const (
	// compactAfter is the number of applied entries after which the log is cut. A document is a few
	// kilobytes, so a snapshot costs less than the entries.
	compactAfter = 64
	// compactKeep is the number of entries that stay for members that are a little behind.
	compactKeep = 16
)

// memoryLog is the group's log. It is in memory, because a process that lost its memory is another
// voter (E6). Unlike raft.MemoryStorage it makes its snapshot when raft asks for one: a snapshot
// for a new learner must name it as a learner, or raft ignores it.
type memoryLog struct {
	*raft.MemoryStorage
	applied  uint64
	topology *Topology
	conf     *raftpb.ConfState
}

func newMemoryLog() *memoryLog { return &memoryLog{MemoryStorage: raft.NewMemoryStorage()} }

// begin starts the log after a founding document or a fork, as if all had agreed on it in term 1.
func (l *memoryLog) begin(t *Topology, conf *raftpb.ConfState) error {
	index, term := t.LogIndex, uint64(1)
	err := l.ApplySnapshot(&raftpb.Snapshot{
		Data:     t.encode(),
		Metadata: &raftpb.SnapshotMetadata{ConfState: conf, Index: &index, Term: &term},
	})
	if err != nil {
		return err
	}
	l.note(index, t, conf)
	return l.SetHardState(&raftpb.HardState{Term: &term, Commit: &index})
}

// keep appends what raft wants kept. Memory cannot fail.
func (l *memoryLog) keep(hard *raftpb.HardState, entries []*raftpb.Entry) {
	if hard != nil && !raft.IsEmptyHardState(hard) {
		_ = l.SetHardState(hard)
	}
	if len(entries) > 0 {
		_ = l.Append(entries)
	}
}

// note records the state after an applied entry.
func (l *memoryLog) note(index uint64, t *Topology, conf *raftpb.ConfState) {
	l.applied, l.topology, l.conf = index, t, conf
}

// compact cuts the log when it has grown by compactAfter entries.
func (l *memoryLog) compact() {
	first, err := l.FirstIndex()
	if err != nil || l.topology == nil || l.applied < first+compactAfter {
		return
	}
	if _, err := l.Snapshot(); err == nil {
		_ = l.Compact(l.applied - compactKeep)
	}
}

// Snapshot returns the current snapshot. Raft calls it in the group's goroutine.
func (l *memoryLog) Snapshot() (*raftpb.Snapshot, error) {
	if l.topology == nil {
		return nil, raft.ErrSnapshotTemporarilyUnavailable
	}
	s, err := l.CreateSnapshot(l.applied, l.conf, l.topology.encode())
	if errors.Is(err, raft.ErrSnapOutOfDate) {
		return l.MemoryStorage.Snapshot()
	}
	return s, err
}

// raftLogger writes raft's messages at debug level and its errors at error level. It panics where
// raft cannot go on.
type raftLogger struct{ s *zap.SugaredLogger }

func (l raftLogger) Debug(v ...any)                   { l.s.Debug(v...) }
func (l raftLogger) Debugf(format string, v ...any)   { l.s.Debugf(format, v...) }
func (l raftLogger) Info(v ...any)                    { l.s.Debug(v...) }
func (l raftLogger) Infof(format string, v ...any)    { l.s.Debugf(format, v...) }
func (l raftLogger) Warning(v ...any)                 { l.s.Debug(v...) }
func (l raftLogger) Warningf(format string, v ...any) { l.s.Debugf(format, v...) }
func (l raftLogger) Error(v ...any)                   { l.s.Error(v...) }
func (l raftLogger) Errorf(format string, v ...any)   { l.s.Errorf(format, v...) }
func (l raftLogger) Fatal(v ...any)                   { l.s.Panic(v...) }
func (l raftLogger) Fatalf(format string, v ...any)   { l.s.Panicf(format, v...) }
func (l raftLogger) Panic(v ...any)                   { l.s.Panic(v...) }
func (l raftLogger) Panicf(format string, v ...any)   { l.s.Panicf(format, v...) }
