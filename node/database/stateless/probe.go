package stateless

import (
	"context"
	"sync"
	"time"

	"viakv/api/kv"
)

// Probe is cached readiness. It is safe for concurrent use.
//
// A check runs apart from the caller that asked for it. So an impatient caller neither ends it nor
// makes the database look down to other callers.
type Probe struct {
	check    func(context.Context) error
	maxAge   time.Duration
	patience time.Duration

	mu      sync.Mutex
	checked time.Time     // when the last check ended; zero: never
	last    error         // of the last check
	running chan struct{} // closed when the check under way ends; nil: none
}

// NewProbe returns a probe that begins no check while the result of the last one is younger than
// maxAge. Each check ends after the given patience.
func NewProbe(maxAge, patience time.Duration, check func(context.Context) error) *Probe {
	return &Probe{check: check, maxAge: maxAge, patience: patience}
}

// Ready returns the result of a check that is no older than the probe's maximal age. It blocks
// until there is such a result or ctx ends.
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

// Last returns the result of the last check without blocking; before the first check that is nil.
// If the result is older than the maximal age, Last also begins another check for the next caller.
// So a node that is asked for its metrics only notices, too, when its database goes down.
func (p *Probe) Last() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.checked.IsZero() || time.Since(p.checked) >= p.maxAge {
		p.beginLocked()
	}
	return p.last
}

// beginLocked begins a check unless one is under way. The channel that it returns is closed when
// the check has ended.
func (p *Probe) beginLocked() (done chan struct{}) {
	if p.running == nil {
		p.running = make(chan struct{})
		go p.run(p.running)
	}
	return p.running
}

// run runs one check. It ends by itself, because the probe's patience bounds the check.
func (p *Probe) run(done chan struct{}) {
	ctx, cancel := context.WithTimeout(context.Background(), p.patience)
	defer cancel()
	err := p.check(ctx)
	p.mu.Lock()
	p.checked, p.last, p.running = time.Now(), err, nil
	p.mu.Unlock()
	close(done)
}
