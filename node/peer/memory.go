package peer

import (
	"sync"
	"time"

	"go.uber.org/zap"

	"viakv/api/kv"
	"viakv/node/wire"
	"viakv/quorum/replica"
	"viakv/quorum/version"
	"viakv/quorum/watermark"
)

// What members tell each other by heartbeats: how their memory stands (N5), what they have counted
// of their clients' requests, how far members that are gone are known to have completed their
// writes (L8), and which epoch is known to be sealed (L10).

// reportValid is how long a member's report counts. A member that is silent for longer serves no
// requests, and must not stop the other members.
const reportValid = 3 * time.Second

// report is what a member has told of itself, and when. It is immutable.
type report struct {
	wire.MemberReport
	by version.Incarnation
	at time.Time
}

// ownReport returns what this node tells of itself.
func (e *Epoch) ownReport() *wire.MemberReport {
	e.View.Given.Tidy()
	r := wire.MemberReport{MemoryReport: e.OwnMemory(), Sealed: e.membership.cfg.Host.Sealed()}
	if f := e.membership.cfg.Figures; f != nil {
		r.Figures = f()
	}
	e.membership.Marks.Each(func(m watermark.Mark) {
		if !e.View.Knows(m.Incarnation) {
			r.Departed = append(r.Departed, m)
		}
	})
	return &r
}

// OwnMemory returns the report of this node's own copy.
func (e *Epoch) OwnMemory() wire.MemoryReport {
	return wire.MemoryReport{Full: e.Store.Full(), Bytes: uint64(e.Store.Bytes()), Limit: uint64(e.membership.cfg.MaxBytes)}
}

// Memory returns a member's latest report of its memory, or nil when it has made none within
// reportValid. For this node itself it returns OwnMemory.
func (e *Epoch) Memory(m int) *wire.MemoryReport {
	if m == e.View.Self {
		own := e.OwnMemory()
		return &own
	}
	if r := e.reportOf(m); r != nil {
		return &r.MemoryReport
	}
	return nil
}

// Figures returns the figures of another member's latest report, or nil when it has told none
// within reportValid.
func (e *Epoch) Figures(m int) *kv.Figures {
	if r := e.reportOf(m); r != nil && r.Figures.Process != 0 {
		return &r.Figures
	}
	return nil
}

// reportOf returns another member's latest report, or nil when it has made none within reportValid.
func (e *Epoch) reportOf(m int) *report {
	r := e.links[m].report.Load()
	if r == nil || r.by != e.View.Members[m].Holder() || time.Since(r.at) > reportValid {
		return nil
	}
	return r
}

// Full reports whether a member takes no more values, according to its latest report.
func Full(v *replica.View, m int) bool {
	e := Of(v)
	if t := e.links[m].report.Load(); t == nil || !t.Full { // nearly always
		return false
	}
	r := e.Memory(m)
	return r != nil && r.Full
}

// observe notes a member's report, and logs when the member reaches its limit or falls below it.
func (e *Epoch) observe(by version.Incarnation, r *wire.MemberReport) {
	for _, mark := range r.Departed {
		e.membership.Marks.Learn(mark.Incarnation, mark.Below)
	}
	e.membership.cfg.Host.LearnSealed(r.Sealed)
	for m := range e.View.Members {
		member := &e.View.Members[m]
		if m == e.View.Self || member.Incarnation != by && member.Pending != by {
			continue
		}
		now := time.Now()
		next := &report{*r, by, now}
		next.Figures.At = now
		e.links[m].report.Store(next)
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
