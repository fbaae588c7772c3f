package node

import (
	"context"
	"fmt"
	"time"

	"go.uber.org/zap"

	"viakv/api/kv"
	"viakv/api/sleep"
	"viakv/node/topology"
)

// Every member stores every value, so the lowest memory limit of any member is the limit of all. A
// member's heartbeats tell the others how its memory stands. A full one also sends one to each
// after a rebuild, before it counts. The others refuse new values while it is full, as it does. A
// copy that must be whole, of a rebuild, a join or a repair, goes above a limit (S3): to lack
// acknowledged writes would be worse.

// memoryEvery is how often a member with a limit looks how its memory stands.
const memoryEvery = 500 * time.Millisecond

// watchMemory writes to the log how this node's memory stands, until ctx ends.
func (m *membership) watchMemory(ctx context.Context) {
	if m.node.cfg.MaxBytes == 0 {
		return
	}
	for {
		m.reviewMemory(m.state.Load())
		if !sleep.For(ctx, memoryEvery) {
			return
		}
	}
}

// tellIfFull tells the others that this node is full, if it is, before they count it as a member:
// from then on all members answer alike.
func (m *membership) tellIfFull(ctx context.Context) {
	if s := m.state.Load(); s.Store.Full() {
		m.reviewMemory(s)
		s.Beat(ctx)
	}
}

// reviewMemory writes to the log what has changed of this node's memory.
func (m *membership) reviewMemory(s *state) {
	limit := zap.Int64("max-memory", m.node.cfg.MaxBytes)
	full := s.Store.Full()
	switch {
	case !m.limit.Changes(full, time.Now()):
	case full:
		m.log.Warn("this node has reached its memory limit: new values are refused, at all nodes, until keys are removed or the limit is raised",
			zap.Int64("bytes", s.Store.Bytes()), limit)
	default:
		m.log.Info("this node is below its memory limit again", zap.Int64("bytes", s.Store.Bytes()), limit)
	}
	if name, held := s.short(); name != "" && !m.warned.Swap(true) {
		m.log.Warn("the memory limit is below what another member holds: this node goes above it, because its copy must be whole, "+
			"and new values are refused, at all nodes", zap.String("member", name), zap.Int64("bytes", held), limit)
	}
}

// short returns, while this node copies what the others hold, the member that holds most, if that
// reaches this node's limit, and how many bytes it holds. An empty name: there is no such member.
func (s *state) short() (name string, bytes int64) {
	limit := int64(s.OwnMemory().Limit)
	if limit == 0 || s.role != topology.Rebuilding && s.role != topology.Joining {
		return "", 0
	}
	bytes = limit - 1
	for m := range s.View.Members {
		if m == s.View.Self || s.View.Members[m].Incarnation == 0 {
			continue
		}
		if r := s.Memory(m); r != nil && int64(r.Bytes) > bytes {
			name, bytes = s.View.Members[m].Name, int64(r.Bytes)
		}
	}
	return name, bytes
}

// memory returns what a node wants to know about the cluster before it joins: how much is held, and
// how much room there is.
func (m *membership) memory() (out topology.Memory) {
	s := m.state.Load()
	if s == nil {
		return out
	}
	out.Held = s.Store.Bytes()
	for i := range s.View.Members {
		if r := s.Memory(i); r != nil && r.Limit > 0 {
			// What is held here is on its way to the member, if the member's report is older.
			if room := max(int64(r.Limit)-max(int64(r.Bytes), out.Held), 0); out.Room == nil || room < *out.Room {
				out.Room = &room
			}
		}
	}
	return out
}

// fits returns an error when this node may not hold what the mesh holds together with the keys that
// the node imports, or when a member of the mesh has no room for these keys. A member that comes
// back is not asked: its slot is kept, and the others count on it.
func (m *membership) fits(mesh topology.Memory) error {
	name, limit := m.node.cfg.Name, m.node.cfg.MaxBytes
	brings := ""
	if m.importing > 0 {
		brings = fmt.Sprintf(" and %s of its own", kv.Size(m.importing))
	}
	switch {
	case limit > 0 && mesh.Held+m.importing >= limit:
		return kv.Detail(kv.ErrMemoryLimit, "%s may hold %s, and would have to hold the mesh's %s%s",
			name, kv.Size(limit), kv.Size(mesh.Held), brings)
	case mesh.Room != nil && m.importing > *mesh.Room:
		return kv.Detail(kv.ErrMemoryLimit, "a member of the mesh may hold %s more, and %s brings %s along",
			kv.Size(*mesh.Room), name, kv.Size(m.importing))
	}
	return nil
}
