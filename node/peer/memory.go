package peer

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"

	"viakv/node/wire"
	"viakv/quorum/replica"
	"viakv/quorum/version"
)

// What members tell each other of their memory (N5): each asks the others how they stand when it
// tells how it does.

const (
	// memoryPatience bounds one telling.
	memoryPatience = time.Second
	// memoryValid is how long what a member has said counts. One that is silent for longer serves
	// nobody and must not stop the others.
	memoryValid = 3 * time.Second
)

// memoryReport is what a member has said of its memory.
type memoryReport struct {
	wire.MemoryReport
	by version.Incarnation
	at time.Time
}

// OwnMemory returns how this node's own copy stands.
func (e *Epoch) OwnMemory() wire.MemoryReport {
	return wire.MemoryReport{Full: e.Store.Full(), Bytes: uint64(e.Store.Bytes()), Limit: uint64(e.membership.cfg.MaxBytes)}
}

// Memory returns what a member has said of its memory, nil when it has said nothing of late. This
// node knows for itself.
func (e *Epoch) Memory(m int) *wire.MemoryReport {
	if m == e.View.Self {
		own := e.OwnMemory()
		return &own
	}
	member := &e.View.Members[m]
	t := e.links[m].memory.Load()
	if t == nil || t.by != member.Holder() || time.Since(t.at) > memoryValid {
		return nil
	}
	return &t.MemoryReport
}

// Full reports whether a member may hold no more, as far as it has said.
func Full(v *replica.View, m int) bool {
	e := Of(v)
	if t := e.links[m].memory.Load(); t == nil || !t.Full { // nearly always
		return false
	}
	r := e.Memory(m)
	return r != nil && r.Full
}

// TellMemory tells all other members how this node stands, and learns how they do. It returns when
// they have answered, or after memoryPatience.
func (e *Epoch) TellMemory(ctx context.Context) {
	if e.Self == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, memoryPatience)
	defer cancel()
	e.Each(func(m int) {
		to := e.View.Members[m].Holder()
		if m == e.View.Self || to == 0 {
			return
		}
		request := wire.AppendMemory(wire.AppendRequest(nil, wire.Memory, e.stamp(to)), e.OwnMemory())
		b, err := e.ask(ctx, m, request)
		if err != nil {
			return // it is told again
		}
		switch reply, err := wire.ParseReply(b); {
		case err != nil:
		case reply.Status == wire.OK:
			if r, err := wire.ParseMemory(reply.Body); err == nil {
				e.observeMemory(to, r)
			}
		case reply.Status == wire.Stale:
			e.membership.learn(reply.Epoch, reply.Body)
		}
	})
}

// serveMemory takes note of what another member says of its memory, and answers likewise.
func (e *Epoch) serveMemory(dst []byte, from version.Incarnation, body []byte) ([]byte, error) {
	r, err := wire.ParseMemory(body)
	if err != nil {
		return dst, err
	}
	e.observeMemory(from, r)
	return wire.AppendMemory(wire.AppendReply(dst, wire.OK, e.membership.Clock.Now(), e.View.Epoch), e.OwnMemory()), nil
}

// observeMemory notes what a member has said.
func (e *Epoch) observeMemory(by version.Incarnation, r wire.MemoryReport) {
	for m := range e.View.Members {
		member := &e.View.Members[m]
		if m == e.View.Self || member.Incarnation != by && member.Pending != by {
			continue
		}
		now := time.Now()
		e.links[m].memory.Store(&memoryReport{r, by, now})
		if !e.links[m].limit.Changes(r.Full, now) {
			continue
		}
		log := e.membership.cfg.Logger
		fields := []zap.Field{zap.String("member", member.Name), zap.Uint64("bytes", r.Bytes), zap.Uint64("max-memory", r.Limit)}
		if r.Full {
			log.Warn("a member has reached its memory limit: new values are refused, at all nodes", fields...)
		} else {
			log.Info("a member is below its memory limit again", fields...)
		}
	}
}

// Notice is what the log says of a memory limit. Its zero value has said nothing.
type Notice struct {
	mu   sync.Mutex
	full bool
	at   time.Time
}

// Changes reports whether the log is to say that a limit is reached, or is not any more. At the
// limit itself that may change with every request, and a log needs no more than a line now and
// then.
func (n *Notice) Changes(full bool, now time.Time) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if full == n.full || now.Sub(n.at) < noticeEvery {
		return false
	}
	n.full, n.at = full, now
	return true
}

const noticeEvery = 10 * time.Second
