package topology

import (
	"context"
	"time"

	"viakv/node/wire"
	"viakv/quorum/version"
)

// updater sends every new topology to one process, and asks in between how far it is.
type updater struct {
	cancel context.CancelFunc
	// until is when this updater ends, once its process is out of the topology. Zero: the process
	// is in.
	until time.Time
}

// startUpdaters starts an updater for every process that must hear of t. It ends those of processes
// that are out and know it, or that had the time to hear of it.
func (l *leader) startUpdaters(t *Topology) {
	now := time.Now()
	in := map[uint64]bool{}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, id := range t.recipients() {
		in[id.BootID] = true
		if id.BootID == l.m.self.BootID || l.updaters[id.BootID] != nil {
			continue
		}
		ctx, cancel := context.WithCancel(l.ctx)
		l.updaters[id.BootID] = &updater{cancel: cancel}
		l.first[id.BootID] = now
		l.working.Go(func() { l.runUpdater(ctx, id) })
	}
	for boot, u := range l.updaters {
		switch {
		case in[boot]:
			u.until = time.Time{}
		case u.until.IsZero() && !t.includes(boot):
			u.until = now.Add(patience)
		case now.After(u.until) || l.adopted[boot] >= t.Epoch || !l.gone[boot].IsZero():
			u.cancel()
			delete(l.updaters, boot)
		}
	}
}

// runUpdater runs one updater until ctx ends.
func (l *leader) runUpdater(ctx context.Context, to Identity) {
	for ctx.Err() == nil {
		t, sealed := l.m.newest(), l.m.Sealed()
		news := update{Quiet: true, Sealed: sealed}
		l.mu.Lock()
		if l.adopted[to.BootID] < t.Epoch {
			news.Topology = t
		}
		l.mu.Unlock()
		r, reply, err := l.m.update(ctx, to, t, news)
		follows := err == nil && l.noteReport(to, t, r, reply)
		if err == nil {
			l.m.noteMisdirected(to, &r)
		}
		l.wakeUp()
		l.awaitNewer(ctx, t, sealed, follows)
	}
}

// awaitNewer waits for one interval, or until a process that follows has to hear something new: of
// a topology newer than t, or that a later epoch than the given one is sealed. News do not end the
// wait for a process that does not follow.
func (l *leader) awaitNewer(ctx context.Context, t *Topology, sealed version.Epoch, follows bool) {
	ctx, cancel := context.WithTimeout(ctx, every)
	defer cancel()
	_ = l.m.changed.until(ctx, func() bool {
		return follows && (l.m.newest().Epoch > t.Epoch || l.m.Sealed() > sealed)
	})
}

// noteReport notes what a process reports, and returns whether it has adopted t.
func (l *leader) noteReport(to Identity, t *Topology, r wire.ControlReply, reply updateReply) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case r.Status == wire.ControlWrongBootID || r.BootID != to.BootID:
		var p presence
		if decodeBody(r.Body, &p) == nil && p.Name == to.Name && p.BootID != 0 && p.BootID != to.BootID {
			l.noteGoneLocked(to.BootID)
		}
		return false
	// The membership there is over and its Host closed: it refuses everything, and its leases are
	// over.
	case r.Status == wire.ControlClosed:
		l.adopted[to.BootID] = max(l.adopted[to.BootID], t.Epoch)
		l.quiet[to.BootID] = max(l.quiet[to.BootID], t.Epoch)
		return true
	case r.Status != wire.ControlOK || r.Cluster != uint64(t.Cluster):
		return false
	}
	l.heard[to.BootID] = time.Now()
	l.adopted[to.BootID] = max(l.adopted[to.BootID], r.Epoch)
	l.quiet[to.BootID] = max(l.quiet[to.BootID], reply.Quiet)
	l.barriers[to.BootID] = max(l.barriers[to.BootID], reply.Barrier)
	return r.Epoch >= t.Epoch
}
