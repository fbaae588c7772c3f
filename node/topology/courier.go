package topology

import (
	"context"
	"time"

	"viakv/node/wire"
)

// courier brings every new topology to one process, and in between asks how it is.
type courier struct {
	to     Identity
	cancel context.CancelFunc
	until  time.Time // the process is out and has this long to hear of it; zero: it is in
}

// dispatch gives every process that must hear of t a courier, and ends those of processes that are out and know it, or
// had their time.
func (l *leader) dispatch(t *Topology) {
	now := time.Now()
	in := map[uint64]bool{}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, id := range t.audience() {
		in[id.Boot] = true
		if id.Boot == l.m.self.Boot || l.couriers[id.Boot] != nil {
			continue
		}
		ctx, cancel := context.WithCancel(l.ctx)
		c := &courier{to: id, cancel: cancel}
		l.couriers[id.Boot] = c
		l.first[id.Boot] = now
		l.working.Go(func() { l.carry(ctx, c.to) })
	}
	for boot, c := range l.couriers {
		role, _ := t.Role(boot)
		switch {
		case in[boot]:
			c.until = time.Time{}
		case c.until.IsZero() && role == Stranger:
			c.until = now.Add(l.m.cfg.Patience)
		case now.After(c.until) || l.adopted[boot] >= t.Epoch || l.gone[boot]:
			c.cancel()
			delete(l.couriers, boot)
		}
	}
}

// carry is a courier's round.
func (l *leader) carry(ctx context.Context, to Identity) {
	for ctx.Err() == nil {
		t := l.m.newest()
		l.mu.Lock()
		behind := l.adopted[to.Boot] < t.Epoch
		l.mu.Unlock()
		r, h, err := l.m.hand(ctx, to, t, behind)
		follows := err == nil && l.heed(to, t, r, h)
		if err == nil {
			l.m.astray(to, &r)
		}
		l.poke()
		l.rest(ctx, t, follows)
	}
}

// rest waits until it is time to look again, or until there is something newer than t for a process that follows. One that
// does not is asked once in a while, whatever happens.
func (l *leader) rest(ctx context.Context, t *Topology, follows bool) {
	timer := time.NewTimer(l.m.cfg.Every)
	defer timer.Stop()
	for {
		changed := l.m.changed.wait()
		if follows && l.m.newest().Epoch > t.Epoch {
			return
		}
		select {
		case <-changed:
		case <-timer.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// heed notes what a process reports, and returns whether it has adopted t.
func (l *leader) heed(to Identity, t *Topology, r wire.ControlReply, h handed) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case r.Status == wire.ControlWrongBoot || r.Boot != to.Boot:
		var p presence
		if decodeBody(r.Body, &p) == nil && p.Name == to.Name && p.Boot != 0 && p.Boot != to.Boot {
			l.gone[to.Boot] = true // M2: a new boot id at its name
		}
		return false
	case r.Status == wire.ControlClosed: // its life is over, its Host closed: it refuses everything
		l.adopted[to.Boot] = max(l.adopted[to.Boot], t.Epoch)
		return true
	case r.Status != wire.ControlOK || r.Cluster != uint64(t.Cluster):
		return false
	}
	l.heard[to.Boot] = time.Now()
	l.adopted[to.Boot] = max(l.adopted[to.Boot], r.Epoch)
	l.barriers[to.Boot] = max(l.barriers[to.Boot], h.Barrier)
	return r.Epoch >= t.Epoch
}
