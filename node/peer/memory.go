package peer

import (
	"sync"
	"time"

	"go.uber.org/zap"

	"viakv/node/wire"
	"viakv/quorum/replica"
	"viakv/quorum/version"
)

// What members tell each other of their memory, by heartbeats (N5).

// memoryValid is how long a member's report counts. A member that is silent for longer serves no
// requests, and must not stop the other members.
const memoryValid = 3 * time.Second

// memoryReport is what a member has said of its memory, and when.
type memoryReport struct {
	wire.MemoryReport
	by version.Incarnation
	at time.Time
}

// OwnMemory returns the report of this node's own copy.
func (e *Epoch) OwnMemory() wire.MemoryReport {
	return wire.MemoryReport{Full: e.Store.Full(), Bytes: uint64(e.Store.Bytes()), Limit: uint64(e.membership.cfg.MaxBytes)}
}

// Memory returns a member's latest report of its memory, or nil when it has made none within
// memoryValid. For this node itself it returns OwnMemory.
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

// Full reports whether a member takes no more values, according to its latest report.
func Full(v *replica.View, m int) bool {
	e := Of(v)
	if t := e.links[m].memory.Load(); t == nil || !t.Full { // nearly always
		return false
	}
	r := e.Memory(m)
	return r != nil && r.Full
}

// observeMemory notes a member's report, and logs when the member reaches its limit or falls below
// it.
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

// Notice decides when the log mentions a memory limit. Its zero value stands for a limit that is
// not reached and was never logged.
type Notice struct {
	mu   sync.Mutex
	full bool
	at   time.Time
}

// Changes reports whether the log is to say that a limit is reached, or is not reached any more.
// Near the limit the state may change with every request, so the log gets at most one line per
// noticeEvery.
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
