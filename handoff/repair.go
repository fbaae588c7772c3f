package handoff

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"viakv/quorum/replica"
	"viakv/quorum/version"
	"viakv/ring/keyspace"
)

// repairer keeps one other member equal to this node: it replays hints and runs repairs. At most
// one goroutine works for a member at a time: busy is its token.
type repairer struct {
	busy     atomic.Bool              // set by repairLoop's goroutine, cleared by the work's goroutine
	progress atomic.Pointer[progress] // of the repair under way; nil: none
	wanted   atomic.Bool              // a repair was asked for

	// Owned by repairLoop's goroutine.
	was         bool      // the member was reachable at the last look
	seen        bool      // the member was looked at before
	wantsRepair bool      // a repair is due,
	due         time.Time // but not before this time
	pause       time.Duration
	rest        time.Time // after a failure, no work begins before this time
	probe       time.Time // when an unreachable member is tried again
	// ended has the result of the last work. The result is taken before other work begins, so that
	// no work waits to send it.
	ended chan bool
}

const (
	lookEvery = 100 * time.Millisecond
	// probeEvery is how often work for a member that seems unreachable is tried. Two members that
	// send each other nothing else find out in this way that they can talk.
	probeEvery = time.Second
	pingTime   = 500 * time.Millisecond
	// returnStagger delays repairs by one step per member when a member returns. Without it all
	// members would repair it at once, each with the same records. The first makes the returned
	// member equal, and the others find nothing.
	returnStagger = 250 * time.Millisecond
)

// repairLoop looks at every other member several times a second. It works for those that need it,
// each in a goroutine of its own, so that a slow member does not hold up the others.
func (d *Driver) repairLoop(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	var work sync.WaitGroup
	defer work.Wait()
	turn := newTurn(d.cfg.RepairEvery, d.cfg.Views.Current(), time.Now())
	for {
		v := d.cfg.Views.Current()
		d.hints.prune(v)
		d.forgetGone(v)
		now := time.Now()
		if v.Me().Active() {
			due := turn.next(v, now)
			for m := range v.Others() {
				d.look(ctx, v, m, m.Holder() == due, now, &work)
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// look decides whether a member needs work, and starts it.
func (d *Driver) look(ctx context.Context, v *replica.View, m *replica.Member, turn bool, now time.Time, work *sync.WaitGroup) {
	w := d.repairer(m.Holder())
	// Work that ends from here on belongs to the next look, since this one may have missed its
	// result.
	idle := !w.busy.Load()
	// Take the result of the last work. After a failure the member rests, longer each time.
	select {
	case ok := <-w.ended:
		if ok {
			w.pause = 0
		} else {
			w.pause = min(longestRest, max(firstRest, 2*w.pause))
			w.rest, w.wantsRepair = now.Add(w.pause), true
		}
	default:
	}
	// A member that has come back is due for a repair.
	reachable := d.cfg.Peers.Reachable(v, m)
	if reachable && !w.was {
		w.rest, w.pause = time.Time{}, 0
	}
	if reachable && !w.was && w.seen {
		w.wantsRepair, w.due = true, now.Add(time.Duration(turnOf(v, m.Name))*returnStagger)
	}
	w.was, w.seen = reachable, true
	if turn || w.wanted.Swap(false) {
		w.wantsRepair = true
	}
	hinted, overflow := d.hints.count(m.Holder())
	// A rebuilding member copies everything anyway. A member with hints gets them first: then there
	// is little left to compare.
	repair := (w.wantsRepair || overflow) && m.Active() && hinted == 0 && !now.Before(w.due)
	if now.Before(w.rest) || !repair && hinted == 0 || !reachable && now.Before(w.probe) || !idle {
		return
	}
	// Start the work: hints first, then the repair.
	w.busy.Store(true)
	w.probe = now.Add(probeEvery)
	if repair {
		w.wantsRepair = false
		if d.hints.collapse(m.Holder()) {
			d.stats.collapsed.Add(1)
		}
	}
	work.Go(func() {
		var err error
		if !reachable {
			err = d.ping(ctx, v, m)
		}
		if err == nil {
			err = d.replay(ctx, v, m)
		}
		if err == nil && repair {
			err = d.repair(ctx, v, m, w)
		}
		if err != nil && reachable && ctx.Err() == nil && !v.Over() {
			d.cfg.Logger.Warn("the replay or the repair with a member failed; it is repeated", zap.String("member", m.Name), zap.Error(err))
		}
		w.ended <- err == nil
		w.busy.Store(false)
	})
}

// ping pushes no entries. It succeeds where a push would.
func (d *Driver) ping(ctx context.Context, v *replica.View, m *replica.Member) error {
	ctx, cancel := context.WithTimeout(ctx, pingTime)
	defer cancel()
	return d.cfg.Peers.Push(ctx, v, m, nil)
}

// replay sends the present records of the keys that a member missed.
func (d *Driver) replay(ctx context.Context, v *replica.View, m *replica.Member) error {
	pace := newPacer(d.cfg.RepairRate)
	var keys []string
	var entries []replica.Entry
	for {
		keys = d.hints.take(m.Holder(), MaxEntries, keys[:0])
		if len(keys) == 0 {
			return nil
		}
		// Read the present record of each key, and push them together.
		entries = entries[:0]
		var arena []byte
		size := 0
		err := func() error {
			for _, k := range keys {
				key := []byte(k)
				h := v.Seed.Hash(key)
				r, grown, err := v.Store.Get(v.Epoch, h, key, arena)
				if err != nil {
					return err
				}
				if r.Tag.IsZero() { // the key was cleared, or its tombstone purged: there is nothing to send
					continue
				}
				arena = grown[len(grown):] // the record borrows the bytes before
				entries = append(entries, replica.Entry{Rank: h.Rank(), Key: key, Record: r})
				size += wireSize(&entries[len(entries)-1])
			}
			if len(entries) == 0 {
				return nil
			}
			return d.cfg.Peers.Push(ctx, v, m, entries)
		}()
		if err != nil {
			for _, k := range keys {
				d.hints.miss(m.Holder(), []byte(k))
			}
		}
		// Keys of a failed push were noted again above, so none of them is lost.
		d.hints.sent(m.Holder(), len(keys))
		if err != nil {
			return err
		}
		d.stats.replayed.Add(uint64(len(entries)))
		d.stats.bytes.Add(uint64(size))
		if err := pace.pay(ctx, size); err != nil {
			return err
		}
	}
}

// repair makes this node and a member equal.
func (d *Driver) repair(ctx context.Context, v *replica.View, m *replica.Member, w *repairer) error {
	p := newProgress("repair")
	w.progress.Store(p)
	defer w.progress.Store(nil)
	s := &session{d: d, v: v, with: m, push: true, pace: newPacer(d.cfg.RepairRate), progress: p}
	if err := s.compare(ctx, keyspace.All()); err != nil {
		return err
	}
	d.stats.repairs.Add(1)
	if s.moved > 0 {
		d.cfg.Logger.Info("repaired", zap.String("member", m.Name), zap.Int("records", s.moved), zap.Int64("bytes", p.sync(time.Now()).Bytes), zap.Duration("took", time.Since(p.began)))
	}
	return nil
}

// repairer returns the repairer of an incarnation.
func (d *Driver) repairer(i version.Incarnation) *repairer {
	d.mu.Lock()
	defer d.mu.Unlock()
	w := d.repairers[i]
	if w == nil {
		w = &repairer{ended: make(chan bool, 1)}
		d.repairers[i] = w
	}
	return w
}

// forgetGone forgets the repairers of members that are gone.
func (d *Driver) forgetGone(v *replica.View) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range d.repairers {
		if !has(v, i) {
			delete(d.repairers, i)
		}
	}
}

// turn decides which member the periodic repair takes next.
type turn struct {
	every time.Duration
	at    time.Time
	last  string
}

// newTurn spreads the nodes' first turns over the time between two repairs. Otherwise nodes that
// were started together would all compare at the same moment.
func newTurn(every time.Duration, v *replica.View, now time.Time) *turn {
	return &turn{every: every, at: now.Add(max(0, every) + max(0, every)*time.Duration(turnOf(v, ""))/time.Duration(max(1, v.Slots)))}
}

// next returns the member whose turn it is, or zero when no turn is due.
func (t *turn) next(v *replica.View, now time.Time) version.Incarnation {
	if t.every < 0 || now.Before(t.at) {
		return 0
	}
	t.at = now.Add(t.every)
	var first, after *replica.Member
	for m := range v.Others() {
		if !m.Active() {
			continue
		}
		if first == nil {
			first = m
		}
		if after == nil && m.Name > t.last {
			after = m
		}
	}
	if after == nil {
		after = first
	}
	if after == nil {
		return 0
	}
	t.last = after.Name
	return after.Holder()
}
