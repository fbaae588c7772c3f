package handoff

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"viakv/api/kv"
	"viakv/api/sleep"
	"viakv/quorum/replica"
	"viakv/quorum/version"
	"viakv/ring/keyspace"
)

// errNonsense reports a peer's reply that breaks its contract.
var errNonsense = errors.New("handoff: the peer's reply does not fit the request")

// Stats counts what a driver did since it was made.
type Stats struct {
	Hinted     uint64 // times that a member was noted to have missed a key
	Replayed   uint64 // records sent because of hints
	Collapsed  uint64 // times that hints exceeded their bound and became a repair
	Repairs    uint64 // comparisons with another member that were completed
	Divergent  uint64 // ranges that differed twice and were exchanged
	Received   uint64 // records copied or fetched
	Sent       uint64 // records pushed by repairs
	Bytes      uint64 // about how many bytes copies, fetches, pushes, tags and digests moved
	Rebuilds   uint64 // rebuilds that were completed
	StartOvers uint64 // times that a rebuild lost its basis
	Purges     uint64 // purges that this node proposed and the topology accepted
	Purged     uint64 // tombstones that this node removed
	Refused    uint64 // purges that a member could not agree to
	Checked    uint64 // buckets whose digest was recomputed
	Drift      uint64 // buckets whose digest was wrong: a bug
}

type counters struct {
	hinted, replayed, collapsed, repairs, divergent, received, sent, bytes atomic.Uint64
	rebuilds, startOvers, purges, purged, refused, checked, drift          atomic.Uint64
}

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
	if err := cfg.validate(); err != nil {
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

// check recomputes the digest of one bucket after another. A digest that has drifted would hide a
// difference between replicas for ever. That is a bug, so it is logged as an error.
func (d *Driver) check(ctx context.Context) {
	if d.cfg.CheckEvery < 0 {
		return
	}
	var at keyspace.Rank
	for sleep.For(ctx, d.cfg.CheckEvery) {
		bucket, drift := d.cfg.Views.Current().Store.Check(at)
		d.stats.checked.Add(1)
		if drift != nil {
			d.stats.drift.Add(1)
			d.cfg.Logger.Error("a digest has drifted from its records: this is a bug, please report it; restart this node to make it copy the data anew",
				zap.Uint64("rank", uint64(at)), zap.Error(drift))
		}
		at = bucket.To
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
	return d.own.Load().sync(time.Now())
}

// RepairWith returns how far the repair with a member has come. It is nil when there is none.
func (d *Driver) RepairWith(i version.Incarnation) *kv.Sync {
	d.mu.Lock()
	r := d.repairers[i]
	d.mu.Unlock()
	if r == nil {
		return nil
	}
	return r.progress.Load().sync(time.Now())
}

// Stats returns the present counts.
func (d *Driver) Stats() Stats {
	s := &d.stats
	return Stats{
		Hinted: s.hinted.Load(), Replayed: s.replayed.Load(), Collapsed: s.collapsed.Load(),
		Repairs: s.repairs.Load(), Divergent: s.divergent.Load(), Received: s.received.Load(), Sent: s.sent.Load(), Bytes: s.bytes.Load(),
		Rebuilds: s.rebuilds.Load(), StartOvers: s.startOvers.Load(),
		Purges: s.purges.Load(), Purged: s.purged.Load(), Refused: s.refused.Load(),
		Checked: s.checked.Load(), Drift: s.drift.Load(),
	}
}
