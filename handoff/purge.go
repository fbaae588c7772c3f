package handoff

import (
	"context"
	"slices"

	"go.uber.org/zap"

	"viakv/api/sleep"
	"viakv/quorum/replica"
	"viakv/quorum/version/rule"
	"viakv/ring/keyspace"
)

// Why a purge is safe.
//
// A tombstone may go when nothing older than it can come back. That is the case when no replica and
// no message under way holds anything older, and no copy made before can be stored afterwards.
//
//  1. The list is fixed, by key and exact tag, before any member is asked about it. Each of the N
//     slots' active incarnations says, at epoch e, that it holds exactly these versions. A
//     tombstone that was made later is not on the list. A key that was set again has another tag,
//     and removing a tombstone removes that exact version or nothing.
//  2. The purge is the step e → e+1. The topology refuses it unless it is still at e, all slots are
//     active and no change of size is open. So it is agreed only if every "yes" still stands: a
//     member that has lost its memory since is vacated, which is a step of its own.
//  3. A node fences its store at its new epoch, removes the list, and then serves. From then on it
//     refuses what was stamped with e (G2): delayed writes and votes, repairs and replays, whose
//     records are stored at the epoch at which they were read (H1). The write phase of a write may
//     span the step. Its coordinator sends again only where the list names no tombstone of the key
//     above the record, and reports an unknown outcome otherwise (D2).
//  4. A node cannot arrive at or beyond e+1 without the list. It said yes at e. So it was at e and
//     not beyond, and held the list there. It can skip from e to any later epoch. But if the purge
//     sequence there had grown by two, the node would have had to say yes at an epoch between. A
//     new incarnation holds no list and needs none. It copies from members that have removed the
//     list, at an epoch after its slot was vacated. No purge can overtake that epoch while the slot
//     is vacant (G3).
//
// No argument here rests on an age. A tombstone waits before it is proposed only to make refused
// purges rare: its remove may still be voted for, or a hint or a repair may be about to bring it to
// a replica.

// collector is the state of the node that proposes purges.
type collector struct {
	from  keyspace.Place      // where the next collection begins
	batch int                 // present size of a list: halved after a no, doubled when all members say yes
	aging []replica.Tombstone // collected in the last round
}

const smallestBatch = 64

// grown returns the next batch size after an answer.
func (c *collector) grown(agreed bool, most int) int {
	if agreed {
		return min(most, 2*c.batch)
	}
	return max(min(smallestBatch, most), c.batch/2)
}

// proposer reports whether this node proposes purges: it is the first of the slots by name. Safety
// does not depend on there being only one proposer.
func proposer(v *replica.View) bool {
	for m := range v.Others() {
		if m.Name < v.Me().Name {
			return false
		}
	}
	return v.Me().Active() && complete(v)
}

// collect proposes purges while this node is the proposer.
func (d *Driver) collect(ctx context.Context) {
	if d.cfg.PurgeEvery < 0 {
		return
	}
	c := &collector{batch: d.cfg.PurgeBatch}
	for sleep.For(ctx, d.cfg.PurgeEvery) {
		v := d.cfg.Views.Current()
		if !proposer(v) {
			c.aging = nil
			continue
		}
		d.round(ctx, v, c)
	}
}

// round proposes the tombstones that the last round collected, if they are still there. Then it
// collects those that the next round proposes.
func (d *Driver) round(ctx context.Context, v *replica.View, c *collector) {
	aged, err := held(v, c.aging)
	c.aging = nil
	if err == nil && len(aged) > 0 {
		c.batch = c.grown(d.propose(ctx, v, aged), d.cfg.PurgeBatch)
		if ctx.Err() != nil {
			return
		}
		v = d.cfg.Views.Current()
	}
	list, next, err := v.Store.Tombstones(v.Epoch, c.from, c.batch, nil)
	if err != nil {
		return
	}
	if next.IsZero() && !c.from.IsZero() { // continue from the beginning of the order
		list, next, err = v.Store.Tombstones(v.Epoch, keyspace.Place{}, c.batch, list)
		if err != nil {
			return
		}
	}
	c.aging, c.from = unique(list), next
}

// unique drops the second of two tombstones with equal keys. A round may collect in two runs, which
// can overlap.
func unique(list []replica.Tombstone) []replica.Tombstone {
	seen := make(map[string]struct{}, len(list))
	return slices.DeleteFunc(list, func(t replica.Tombstone) bool {
		_, twice := seen[string(t.Key)]
		seen[string(t.Key)] = struct{}{}
		return twice
	})
}

// propose asks all other slots whether they hold exactly the tombstones. If so, it proposes to
// purge them. It returns false when a member does not hold them or does not answer. A member that
// does not hold them is then due for a repair.
func (d *Driver) propose(ctx context.Context, v *replica.View, tombstones []replica.Tombstone) bool {
	list := &List{ID: d.cfg.NewID(), At: v.Epoch, Tombstones: tombstones}
	type answer struct {
		from *replica.Member
		yes  bool
		err  error
	}
	// Ask all others at once.
	others := slices.Collect(v.Others())
	answers := make(chan answer, len(others))
	for _, m := range others {
		go func() {
			yes, err := d.cfg.Peers.Hold(ctx, v, m, list)
			answers <- answer{m, yes, err}
		}()
	}
	// Count the answers. A member that says no needs a repair.
	agreed, holders := true, 1
	for range others {
		a := <-answers
		if a.yes && a.err == nil {
			holders++
			continue
		}
		agreed = false
		if a.err != nil && !v.Over() && ctx.Err() == nil {
			d.cfg.Logger.Debug("a member did not answer whether it holds the tombstones of a purge", zap.String("member", a.from.Name), zap.Error(a.err))
		}
		if a.err == nil {
			d.want(a.from)
		}
	}
	if rule.Broken(rule.PurgeAll) {
		agreed = holders > v.Slots/2
	}
	if !agreed {
		d.stats.refused.Add(1)
		return false
	}
	// This node must hold the list before the topology can accept it.
	d.lists.keep(list)
	if err := d.cfg.Topology.Purge(ctx, list.ID, v.Epoch); err != nil {
		if ctx.Err() == nil && !v.Over() {
			d.cfg.Logger.Warn("the topology did not accept a purge; another one is proposed later", zap.Error(err))
		}
		return true // the members agreed, so there is no reason for a smaller list
	}
	d.stats.purges.Add(1)
	return true
}

// want asks for a repair with a member.
func (d *Driver) want(m *replica.Member) { d.repairer(m.Holder()).wanted.Store(true) }
