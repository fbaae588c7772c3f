package node

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"viakv/api/kv"
	"viakv/node/topology"
	"viakv/node/transport"
	"viakv/node/wire"
	"viakv/quorum/replica"
	"viakv/quorum/version"
)

// Every member stores every value, so that the lowest memory limit is the limit of all. A member
// with a limit tells the others how it stands, every half a second and before it counts after a
// rebuild, and they refuse new values as it does. A copy that must be whole, of a rebuild, a join
// or a repair, goes above a limit (S3): to be short of acknowledged writes would be worse.

const (
	// memoryEvery is how often a member with a limit tells the others.
	memoryEvery = 500 * time.Millisecond
	// memoryPatience bounds one telling.
	memoryPatience = time.Second
	// memoryValid is how long what a member has said counts. One that is silent for longer serves
	// nobody and must not stop the others.
	memoryValid = 3 * time.Second
)

// told is what a member has said of its memory.
type told struct {
	wire.MemoryReport
	by version.Incarnation
	at time.Time
}

// memory returns how this node's own copy stands.
func (s *state) memory() wire.MemoryReport {
	return wire.MemoryReport{Full: s.store.Full(), Bytes: uint64(s.store.Bytes()), Limit: uint64(s.life.node.cfg.MaxBytes)}
}

// memoryOf returns what a member has said of its memory, nil when it has said nothing of late. This
// node knows for itself.
func (s *state) memoryOf(m int) *wire.MemoryReport {
	if m == s.view.Self {
		own := s.memory()
		return &own
	}
	member := &s.view.Members[m]
	t := s.links[m].memory.Load()
	if t == nil || t.by != member.Holder() || time.Since(t.at) > memoryValid {
		return nil
	}
	return &t.MemoryReport
}

// memberFull tells the coordinator whether a member may hold no more.
func memberFull(v *replica.View, m int) bool {
	s := v.Origin.(*state)
	if t := s.links[m].memory.Load(); t == nil || !t.Full { // nearly always
		return false
	}
	r := s.memoryOf(m)
	return r != nil && r.Full
}

// serveMemory takes note of what another member says of its memory, and answers likewise.
func (s *state) serveMemory(dst []byte, from version.Incarnation, body []byte) ([]byte, error) {
	r, err := wire.ParseMemory(body)
	if err != nil {
		return dst, err
	}
	s.heed(from, r)
	return wire.AppendMemory(wire.AppendReply(dst, wire.OK, s.life.clock.Now(), s.view.Epoch), s.memory()), nil
}

// heed notes what a member has said.
func (s *state) heed(by version.Incarnation, r wire.MemoryReport) {
	for m := range s.view.Members {
		member := &s.view.Members[m]
		if m == s.view.Self || member.Incarnation != by && member.Pending != by {
			continue
		}
		now := time.Now()
		s.links[m].memory.Store(&told{r, by, now})
		if !s.links[m].limit.changes(r.Full, now) {
			continue
		}
		fields := []zap.Field{zap.String("member", member.Name), zap.Uint64("bytes", r.Bytes), zap.Uint64("max-memory", r.Limit)}
		if r.Full {
			s.life.log.Warn("a member has reached its memory limit: new values are refused, at all nodes", fields...)
		} else {
			s.life.log.Info("a member is below its memory limit again", fields...)
		}
	}
}

// watchMemory tells the others how this node stands until ctx ends. A node without a limit only
// answers.
func (l *life) watchMemory(ctx context.Context) {
	if l.node.cfg.MaxBytes == 0 {
		return
	}
	tick := time.NewTicker(memoryEvery)
	defer tick.Stop()
	for {
		s := l.state.Load()
		l.running.Go(func() { l.reviewMemory(ctx, s) })
		select {
		case <-tick.C:
		case <-s.superseded: // a member that is new has heard nothing yet
		case <-ctx.Done():
			return
		}
	}
}

// tellIfFull makes sure that the others know of a limit that is reached before this node counts
// among them: from then on all answer alike.
func (l *life) tellIfFull(ctx context.Context) {
	if s := l.state.Load(); s.store.Full() {
		l.reviewMemory(ctx, s)
	}
}

// reviewMemory tells the others how this node stands, and the log what is new about it.
func (l *life) reviewMemory(ctx context.Context, s *state) {
	limit := zap.Int64("max-memory", l.node.cfg.MaxBytes)
	full := s.store.Full()
	switch {
	case !l.limit.changes(full, time.Now()):
	case full:
		l.log.Warn("this node has reached its memory limit: new values are refused, at all nodes; remove keys, clear, or start it with a higher --max-memory",
			zap.Int64("bytes", s.store.Bytes()), limit)
	default:
		l.log.Info("this node is below its memory limit again", zap.Int64("bytes", s.store.Bytes()), limit)
	}
	s.tellMemory(ctx)
	if name, held := s.short(); name != "" && !l.warned.Swap(true) {
		l.log.Warn("the memory limit is below what another member holds: this node goes above it, because its copy must be whole, and new values are refused, at all nodes; "+
			"start it with a higher --max-memory", zap.String("member", name), zap.Int64("bytes", held), limit)
	}
}

// notice is what the log says of a limit.
type notice struct {
	mu   sync.Mutex
	full bool
	at   time.Time
}

// changes reports whether the log is to say that a limit is reached, or is not any more. At the
// limit itself that may change with every request, and a log needs no more than a line now and
// then.
func (n *notice) changes(full bool, now time.Time) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if full == n.full || now.Sub(n.at) < noticeEvery {
		return false
	}
	n.full, n.at = full, now
	return true
}

const noticeEvery = 10 * time.Second

// short returns, while this node copies what the others hold, a member that holds more than this
// node may, and how much; no name: there is none.
func (s *state) short() (name string, bytes int64) {
	limit := s.life.node.cfg.MaxBytes
	if limit == 0 || s.role != topology.Rebuilding && s.role != topology.Joining {
		return "", 0
	}
	bytes = limit - 1
	for m := range s.view.Members {
		if m == s.view.Self || s.view.Members[m].Incarnation == 0 {
			continue
		}
		if r := s.memoryOf(m); r != nil && int64(r.Bytes) > bytes {
			name, bytes = s.view.Members[m].Name, int64(r.Bytes)
		}
	}
	return name, bytes
}

// tellMemory tells all other members how this node stands, and learns how they do. It returns when
// they have answered, or after memoryPatience.
func (s *state) tellMemory(ctx context.Context) {
	if s.self == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, memoryPatience)
	defer cancel()
	s.askAll(func(m int) {
		to := s.view.Members[m].Holder()
		if m == s.view.Self || to == 0 {
			return
		}
		stamp := wire.Stamp{Cluster: uint64(s.topology.Cluster), Epoch: s.view.Epoch, To: to, From: s.self}
		request := wire.AppendMemory(wire.AppendRequest(nil, wire.Memory, stamp), s.memory())
		b, err := transport.Ask(ctx, s.life.node.transport, s.links[m].address, transport.Data, request)
		if err != nil {
			return // it is told again
		}
		switch reply, err := wire.ParseReply(b); {
		case err != nil:
		case reply.Status == wire.OK:
			if r, err := wire.ParseMemory(reply.Body); err == nil {
				s.heed(to, r)
			}
		case reply.Status == wire.Stale:
			s.life.learn(reply.Epoch, reply.Body)
		}
	})
}

// memory returns what a node wants to know before it joins.
func (l *life) memory() (out topology.Memory) {
	s := l.state.Load()
	if s == nil {
		return out
	}
	out.Held = s.store.Bytes()
	for m := range s.view.Members {
		if r := s.memoryOf(m); r != nil && r.Limit > 0 {
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
func (l *life) fits(mesh topology.Memory) error {
	name, limit := l.node.cfg.Name, l.node.cfg.MaxBytes
	brings := ""
	if l.along > 0 {
		brings = fmt.Sprintf(" and %s of its own", sizeOf(l.along))
	}
	switch {
	case limit > 0 && mesh.Held+l.along >= limit:
		return kv.Detail(kv.ErrMemoryLimit, "%s may hold %s (--max-memory), and would have to hold the mesh's %s%s: start it with a higher limit, or remove keys first",
			name, sizeOf(limit), sizeOf(mesh.Held), brings)
	case mesh.Room != nil && l.along > *mesh.Room:
		return kv.Detail(kv.ErrMemoryLimit, "a member of the mesh may hold %s more (--max-memory), and %s brings %s along: raise the limit there, or remove keys first",
			sizeOf(*mesh.Room), name, sizeOf(l.along))
	}
	return nil
}

// describeMemory fills in what a member has said of its memory.
func (s *state) describeMemory(out *kv.Member, m int) {
	if r := s.memoryOf(m); r != nil {
		out.Bytes, out.MaxBytes, out.Full = int64(r.Bytes), int64(r.Limit), r.Full
	}
}

// warnings says what an operator should know of the members' memory.
func (s *state) warnings() (out []string) {
	for m := range s.view.Members {
		if r := s.memoryOf(m); r != nil && r.Full {
			out = append(out, fmt.Sprintf("%s holds %s and may hold %s (--max-memory): new values are refused, at all nodes; remove keys, clear, or start it with a higher limit",
				s.view.Members[m].Name, sizeOf(int64(r.Bytes)), sizeOf(int64(r.Limit))))
		}
	}
	if name, held := s.short(); name != "" && !s.store.Full() {
		out = append(out, fmt.Sprintf("%s may hold %s (--max-memory), and %s holds %s: new values will be refused, at all nodes; start it with a higher limit",
			s.life.id.Name, sizeOf(s.life.node.cfg.MaxBytes), name, sizeOf(held)))
	}
	return out
}

// sizeOf words a number of bytes.
func sizeOf(bytes int64) string {
	const units = "KMGT"
	if bytes < 1<<10 {
		return fmt.Sprintf("%d B", bytes)
	}
	size, unit := float64(bytes)/(1<<10), 0
	for size >= 1<<10 && unit < len(units)-1 {
		size, unit = size/(1<<10), unit+1
	}
	return fmt.Sprintf("%.1f %ciB", size, units[unit])
}
