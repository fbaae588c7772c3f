package stateless

import (
	"context"
	"sync"
	"time"

	"viakv/api/kv"
)

// Probe is cached readiness. Safe for concurrent use.
//
// A check runs apart from who asked for it: an impatient caller neither ends it nor makes the database look down to others.
type Probe struct {
	check    func(context.Context) error
	maxAge   time.Duration
	patience time.Duration

	mu      sync.Mutex
	checked time.Time     // when the last check ended; zero: never
	last    error         // of the last check
	running chan struct{} // closed when the check under way ends; nil: none
}

// NewProbe returns a probe that runs check at most once per maxAge and gives it so much patience.
func NewProbe(maxAge, patience time.Duration, check func(context.Context) error) *Probe {
	return &Probe{check: check, maxAge: maxAge, patience: patience}
}

// Ready returns the result of a check that is no older than the probe's maximal age. It blocks until there is one or ctx ends.
func (p *Probe) Ready(ctx context.Context) error {
	p.mu.Lock()
	if !p.checked.IsZero() && time.Since(p.checked) < p.maxAge {
		defer p.mu.Unlock()
		return p.last
	}
	done := p.beginLocked()
	p.mu.Unlock()
	select {
	case <-done:
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.last
	case <-ctx.Done():
		return &kv.Unavailable{Outcome: kv.None, Reason: "the database has not answered yet", Err: ctx.Err()}
	}
}

// Last returns the result of the last check, without blocking; nil before the first. Where that is older than the maximal age, it
// begins another for the next caller to see: a node that only its metrics are asked of must notice its database's end, too.
func (p *Probe) Last() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.checked.IsZero() || time.Since(p.checked) >= p.maxAge {
		p.beginLocked()
	}
	return p.last
}

// beginLocked begins a check unless one is under way. The channel is closed when it has ended.
func (p *Probe) beginLocked() (done chan struct{}) {
	if p.running == nil {
		p.running = make(chan struct{})
		go p.run(p.running)
	}
	return p.running
}

// run ends by itself: the check is bound by the probe's patience.
func (p *Probe) run(done chan struct{}) {
	ctx, cancel := context.WithTimeout(context.Background(), p.patience)
	defer cancel()
	err := p.check(ctx)
	p.mu.Lock()
	p.checked, p.last, p.running = time.Now(), err, nil
	p.mu.Unlock()
	close(done)
}
