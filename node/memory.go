package node

import (
	"context"
	"fmt"
	"time"

	"go.uber.org/zap"

	"viakv/api/kv"
	"viakv/node/topology"
)

// Every member stores every value, so that the lowest memory limit is the limit of all. A member
// with a limit tells the others how it stands, every half a second and before it counts after a
// rebuild, and they refuse new values as it does. A copy that must be whole, of a rebuild, a join
// or a repair, goes above a limit (S3): to be short of acknowledged writes would be worse.

// memoryEvery is how often a member with a limit tells the others.
const memoryEvery = 500 * time.Millisecond

// watchMemory tells the others how this node stands until ctx ends. A node without a limit only
// answers.
func (m *membership) watchMemory(ctx context.Context) {
	if m.node.cfg.MaxBytes == 0 {
		return
	}
	tick := time.NewTicker(memoryEvery)
	defer tick.Stop()
	for {
		s := m.state.Load()
		m.running.Go(func() { m.reviewMemory(ctx, s) })
		select {
		case <-tick.C:
		case <-s.View.Superseded: // a member that is new has heard nothing yet
		case <-ctx.Done():
			return
		}
	}
}

// tellIfFull makes sure that the others know of a limit that is reached before this node counts
// among them: from then on all answer alike.
func (m *membership) tellIfFull(ctx context.Context) {
	if s := m.state.Load(); s.Store.Full() {
		m.reviewMemory(ctx, s)
	}
}

// reviewMemory tells the others how this node stands, and the log what is new about it.
func (m *membership) reviewMemory(ctx context.Context, s *state) {
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
	s.TellMemory(ctx)
	if name, held := s.short(); name != "" && !m.warned.Swap(true) {
		m.log.Warn("the memory limit is below what another member holds: this node goes above it, because its copy must be whole, "+
			"and new values are refused, at all nodes", zap.String("member", name), zap.Int64("bytes", held), limit)
	}
}

// short returns, while this node copies what the others hold, a member that holds more than this
// node may, and how much; no name: there is none.
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

// memory returns what a node wants to know before it joins.
func (m *membership) memory() (out topology.Memory) {
	s := m.state.Load()
	if s == nil {
		return out
	}
	out.Held = s.Store.Bytes()
	for i := range s.View.Members {
		if r := s.Memory(i); r != nil && r.Limit > 0 {
			// What is held here is on the way there, if what it has said is older.
			if room := max(int64(r.Limit)-max(int64(r.Bytes), out.Held), 0); out.Room == nil || room < *out.Room {
				out.Room = &room
			}
		}
	}
	return out
}

// fits reports whether this node may hold what a mesh holds that it is about to join, and both what
// it brings along. A member that comes back is not asked: its place is there, and the others count
// on it.
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
