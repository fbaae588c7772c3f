package handoff

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"viakv/api/kv"
	"viakv/quorum/replica"
	"viakv/quorum/version"
)

// errNonsense reports a peer's reply that breaks its contract.
var errNonsense = errors.New("handoff: the peer's reply does not fit the request")

// Driver runs hand-off for one membership of a node. Its methods are safe for concurrent use.
type Driver struct {
	cfg   Config
	hints *hints
	lists lists
	stats counters
	pages sync.Pool

	own atomic.Pointer[progress] // of this node's rebuild or barrier; nil: none is under way

	mu        sync.Mutex
	repairers map[version.Incarnation]*repairer
}

// New returns a driver. Before Run it only takes hints.
func New(cfg Config) (*Driver, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	cfg.Peers = timed{cfg.Peers, cfg.Timeout}
	d := &Driver{cfg: cfg, hints: newHints(cfg.HintLimit), repairers: map[version.Incarnation]*repairer{}}
	d.pages.New = func() any { return new(replica.Page) }
	return d, nil
}

func (d *Driver) page() *replica.Page {
	p := d.pages.Get().(*replica.Page)
	p.Reset()
	return p
}

// Run works until ctx ends, and returns when everything that it started has stopped.
func (d *Driver) Run(ctx context.Context) {
	var running sync.WaitGroup
	for _, loop := range []func(context.Context){d.recover, d.repairLoop, d.collect, d.check} {
		running.Go(func() { loop(ctx) })
	}
	running.Wait()
}

// recover does what an epoch asks of this node itself: a rebuild or a barrier.
func (d *Driver) recover(ctx context.Context) {
	var ran version.Epoch // the size change whose barrier was run last
	for ctx.Err() == nil {
		v := d.cfg.Views.Current()
		switch {
		case v.Me().Holder() != 0 && !v.Me().Active():
			d.rebuild(ctx, v)
		case v.Me().Active() && v.Barrier != nil && v.Barrier.Change != ran:
			if d.barrier(ctx, v) {
				ran = v.Barrier.Change
			}
		default:
			select {
			case <-v.Superseded:
			case <-ctx.Done():
			}
		}
	}
}

// Miss notes that a member missed a key. It does not block.
func (d *Driver) Miss(_ string, i version.Incarnation, key []byte) {
	d.stats.hinted.Add(1)
	d.hints.miss(i, key)
}

// Hints returns how many keys are noted for a member.
func (d *Driver) Hints(i version.Incarnation) int {
	n, _ := d.hints.count(i)
	return n
}

// Progress returns how far this node's own rebuild or barrier has come. It is nil when there is
// none.
func (d *Driver) Progress() *kv.Sync {
	if p := d.own.Load(); p != nil {
		return p.sync(time.Now())
	}
	return nil
}

// RepairWith returns how far the repair with a member has come. It is nil when there is none.
func (d *Driver) RepairWith(i version.Incarnation) *kv.Sync {
	d.mu.Lock()
	r := d.repairers[i]
	d.mu.Unlock()
	if r == nil {
		return nil
	}
	if p := r.progress.Load(); p != nil {
		return p.sync(time.Now())
	}
	return nil
}
