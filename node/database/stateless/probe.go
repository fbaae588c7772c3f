package stateless

import (
	"context"
	"sync"
	"time"

	"viakv/api/kv"
)

const (
	// probeAge is the age up to which the result of a check stands, and no other check begins.
	probeAge = time.Second
	// probePatience is how long a check may take.
	probePatience = 2 * time.Second
)

// Probe is cached readiness. It is safe for concurrent use.
//
// A check runs apart from the caller that asked for it. So an impatient caller neither ends it nor
// makes the database look down to other callers.
type Probe struct {
	check func(context.Context) error

	mu      sync.Mutex
	checked time.Time     // when the last check ended; zero: never
	last    error         // of the last check
	running chan struct{} // closed when the check under way ends; nil: none
}

// NewProbe returns a probe. The context of a check ends after probePatience.
func NewProbe(check func(context.Context) error) *Probe { return &Probe{check: check} }

// Ready implements kv.Store. It returns nil when the database has answered lately and takes writes.
// It is cheap: it returns the result of a check that is no older than probeAge. It blocks until
// there is such a result or ctx ends.
func (p *Probe) Ready(ctx context.Context) error {
	p.mu.Lock()
	if p.freshLocked() {
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

// latest returns the result of the last check without blocking; before the first check that is nil.
// If the result is older than probeAge, latest also begins another check for the next caller. So a
// node that is asked for its metrics only notices, too, when its database goes down.
func (p *Probe) latest() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.freshLocked() {
		p.beginLocked()
	}
	return p.last
}

func (p *Probe) freshLocked() bool { return !p.checked.IsZero() && time.Since(p.checked) < probeAge }

// beginLocked begins a check unless one is under way. The channel that it returns is closed when
// the check has ended.
func (p *Probe) beginLocked() (done chan struct{}) {
	if p.running == nil {
		p.running = make(chan struct{})
		go p.run(p.running)
	}
	return p.running
}

// run runs one check. It ends by itself, because the patience bounds the check.
func (p *Probe) run(done chan struct{}) {
	ctx, cancel := context.WithTimeout(context.Background(), probePatience)
	defer cancel()
	err := p.check(ctx)
	p.mu.Lock()
	p.checked, p.last, p.running = time.Now(), err, nil
	p.mu.Unlock()
	close(done)
}
