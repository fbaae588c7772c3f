package topology

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"viakv/api/sleep"
	"viakv/quorum/version"
)

// maxAsks bounds the requests that wait at the leader.
const maxAsks = 256

// leader is the leadership of this process, from election to resignation. One goroutine looks,
// decides and takes one step after another. An updater serves each process that must hear of the
// topology.
type leader struct {
	m      *Manager
	g      *group
	ctx    context.Context
	cancel context.CancelFunc
	wake   chan struct{} // holds a token: look again

	mu       sync.Mutex // guards the fields below
	asks     []*ask
	over     bool
	first    map[uint64]time.Time     // when a process was first looked for
	heard    map[uint64]time.Time     // when it last answered
	adopted  map[uint64]version.Epoch // the epoch that it reports
	quiet    map[uint64]version.Epoch // the epoch at which it reports to be quiet
	gone     map[uint64]time.Time     // when this leader learnt of a newer process of its name
	barriers map[uint64]version.Epoch // the last size change whose barrier it has run
	updaters map[uint64]*updater
	working  sync.WaitGroup // the updaters
}

func newLeader(g *group) *leader {
	l := &leader{
		m: g.m, g: g, wake: make(chan struct{}, 1),
		first: map[uint64]time.Time{}, heard: map[uint64]time.Time{}, adopted: map[uint64]version.Epoch{},
		quiet: map[uint64]version.Epoch{}, gone: map[uint64]time.Time{}, barriers: map[uint64]version.Epoch{},
		updaters: map[uint64]*updater{},
	}
	l.ctx, l.cancel = context.WithCancel(g.ctx)
	return l
}

func (l *leader) run() {
	l.m.log.Debug("the node leads the consensus group", zap.Stringer("cluster", l.g.cluster))
	defer l.end()
	for l.ctx.Err() == nil {
		changed := l.m.changed.wait()
		s := l.look()
		if s == nil {
			return
		}
		if s.sealed() {
			l.m.LearnSealed(s.topology.Epoch)
		}
		l.startUpdaters(s.topology)
		if mv := decide(s); l.do(mv) {
			continue
		}
		// Only raft's progress shows how far the learners are, so the leader looks again after a
		// tick. It looks earlier where leases end earlier.
		timer := time.NewTimer(s.pause)
		select {
		case <-l.wake:
		case <-changed:
		case <-timer.C:
		case <-l.ctx.Done():
		}
		timer.Stop()
	}
}

// end answers the waiting requests, and returns when the updaters have ended.
func (l *leader) end() {
	l.cancel()
	l.mu.Lock()
	l.over = true
	for _, a := range l.asks {
		r := a.undecided()
		r.Detail = "the leader changes"
		a.done <- r
	}
	l.asks = nil
	l.mu.Unlock()
	l.working.Wait()
}

func (l *leader) wakeUp() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// look gathers the scene. It returns nil when the leadership is over.
func (l *leader) look() *scene {
	var t *Topology
	if !l.g.do(l.ctx, func() { t = l.g.topology }) {
		return nil
	}
	up, state := l.g.caughtUp(l.ctx), l.g.snapshot()
	// This node's own reports do not come from an updater.
	l.m.mu.Lock()
	barrier := l.m.barrier
	l.m.mu.Unlock()
	own := l.m.current()
	var left, ofTheDead time.Duration
	if own != nil {
		left, ofTheDead = l.m.leasesLeft(own.Epoch), l.m.leasesOfTheDead()
	}
	now := time.Now()
	s := &scene{
		topology: t, self: l.m.self.BootID, now: now, voters: state.voters, learners: state.learners, caughtUp: up,
		reports: reports{quiet: map[uint64]version.Epoch{}, gone: map[uint64]bool{}},
		heard:   map[uint64]time.Time{}, absent: map[uint64]bool{}, pause: tick,
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if own != nil && own.Cluster == t.Cluster {
		l.adopted[s.self] = own.Epoch
		if left <= 0 {
			l.quiet[s.self] = own.Epoch
		} else {
			s.pause = min(left, recheck)
		}
	}
	l.barriers[s.self] = barrier
	for _, b := range t.replaced() {
		l.noteGoneLocked(b)
	}
	s.asks = slices.Clone(l.asks)
	// The scene takes over what the updaters have heard.
	for _, id := range t.recipients() {
		b := id.BootID
		s.reports.quiet[b] = l.quiet[b]
		since, gone := l.gone[b]
		if rest := ofTheDead - now.Sub(since); gone && own != nil && rest <= 0 {
			s.reports.gone[b] = true
		} else if gone && rest > 0 {
			s.pause = min(s.pause, rest)
		}
		last, ok := l.heard[b]
		if ok {
			s.heard[b] = last
		} else if last, ok = l.first[b]; !ok {
			last = now
		}
		s.absent[b] = b != s.self && (gone || now.Sub(last) > patience)
	}
	// A barrier counts only with the incarnation that the slot has now.
	if t.Change != nil {
		for _, name := range t.Change.Owe {
			if slot := t.slot(name); slot != nil && slot.active() && l.barriers[slot.BootID] >= t.Change.Epoch {
				s.barriers = append(s.barriers, fact{name, slot.Incarnation})
			}
		}
	}
	return s
}

// noteGoneLocked notes that a newer process has the name of this one (M2). So this one has died, at
// this moment at the latest. The caller holds mu.
func (l *leader) noteGoneLocked(boot uint64) {
	if l.gone[boot].IsZero() {
		l.gone[boot] = time.Now()
	}
}

// do carries a step out. It returns false when there was none.
func (l *leader) do(mv move) bool {
	switch {
	case mv.answer != nil:
		l.answer(mv.ask, *mv.answer)
	case mv.change.bootID != 0:
		name := ""
		if id := l.m.newest().process(mv.change.bootID); id != nil {
			name = id.Name
		}
		l.m.log.Debug("the leader changes the voters", zap.Stringer("change", mv.change.kind), zap.String("member", name), zap.Uint64("boot", mv.change.bootID))
		l.g.change(l.ctx, mv.change.kind, mv.change.bootID)
	case mv.transfer != 0:
		l.g.transfer(l.ctx, mv.transfer)
		sleep.For(l.ctx, tick) // the resignation ends the wait
	case mv.poll:
		l.poll()
	case mv.command != nil:
		l.enact(mv.command, mv.ask)
	default:
		return false
	}
	return true
}

// poll asks the members whether they are there, for all waiting requests at once. If each request
// asked for itself, its answers could be out of date when the next request has its own: where a
// member does not answer, a poll takes as long as an answer counts. The leader decides nothing else
// meanwhile.
func (l *leader) poll() {
	l.mu.Lock()
	waiting := slices.Clone(l.asks)
	l.mu.Unlock()
	there := l.m.poll(l.ctx, l.m.newest())
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, a := range waiting {
		a.answered, a.polledAt = there, time.Now()
	}
}

// enact proposes one command and waits for its outcome.
func (l *leader) enact(c *command, a *ask) {
	if c.ID == (OperationID{}) {
		c.ID = l.m.nextOperation()
	}
	if a != nil && a.ID == c.ID {
		l.mu.Lock()
		queued := slices.Contains(l.asks, a)
		a.proposed = a.proposed || queued
		l.mu.Unlock()
		if !queued { // its asker was told meanwhile that nothing was proposed
			return
		}
	}
	err := l.g.propose(l.ctx, c)
	switch {
	// The next look shows what became of the command.
	case err == nil, errors.Is(err, errOpen), errors.Is(err, errEpoch):
		if err != nil {
			sleep.For(l.ctx, tick)
		}
	case a != nil:
		l.answer(a, refusal(err))
	default:
		l.m.log.Info("the leader's own step was refused", zap.String("kind", string(c.Kind)), zap.Error(err))
		sleep.For(l.ctx, tick)
	}
}

// answer ends a request with a response.
func (l *leader) answer(a *ask, r response) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if i := slices.Index(l.asks, a); i >= 0 {
		l.asks = slices.Delete(l.asks, i, i+1)
		a.done <- r
	}
}

// submit queues a request and waits for its answer. A request that is queued already under the same
// operation ID belongs to an earlier call that its asker has given up. The new one takes its place,
// and the earlier call is answered.
func (l *leader) submit(ctx context.Context, r *request, replaces uint64) response {
	// The deadline is a little before the asker gives up, so that it hears what was in the way.
	a := &ask{request: *r, deadline: time.Now().Add(r.Patience - r.Patience/20), replaces: replaces, done: make(chan response, 1)}
	l.mu.Lock()
	if l.over || len(l.asks) >= maxAsks {
		l.mu.Unlock()
		return response{Code: codeAgain, Detail: "the leader is busy"}
	}
	if replaces != 0 {
		l.noteGoneLocked(replaces)
	}
	if i := slices.IndexFunc(l.asks, func(q *ask) bool { return q.ID == a.ID }); i >= 0 {
		a.proposed, a.answered, a.polledAt = l.asks[i].proposed, l.asks[i].answered, l.asks[i].polledAt
		l.asks[i].done <- l.asks[i].undecided()
		l.asks[i] = a
	} else {
		l.asks = append(l.asks, a)
	}
	l.mu.Unlock()
	l.wakeUp()
	select {
	case answer := <-a.done:
		return answer
	case <-ctx.Done():
		l.mu.Lock()
		if i := slices.Index(l.asks, a); i >= 0 {
			l.asks = slices.Delete(l.asks, i, i+1)
			a.done <- a.undecided()
		}
		l.mu.Unlock()
		return <-a.done
	}
}

// undecided returns the answer to a request that leaves the queue without a decision. The code says
// whether the request was proposed, and may be agreed on yet. The caller holds the leader's mu, or
// is the leader's goroutine, which alone proposes.
func (a *ask) undecided() response {
	if a.proposed {
		return response{Code: codeOpen}
	}
	return response{Code: codeAgain}
}
