package handoff

import (
	"context"
	"slices"

	"go.uber.org/zap"

	"viakv/quorum/replica"
	"viakv/quorum/version/rule"
	"viakv/ring/keyspace"
)

// Why a purge is safe.
//
// A tombstone may go when nothing older than it can come back: no replica holds anything older,
// nothing under way does, and no copy made before can be stored after.
//
//  1. The list is fixed before it is asked about, by key and exact tag. Each of the N slots' active
//     incarnations says, at epoch e, that it holds exactly these versions. A tombstone that was
//     made later is not on the list; a key that was set again has another tag, and removing a
//     tombstone removes that exact version or nothing.
//  2. The purge is the step e → e+1, refused unless the topology is still at e, all slots are
//     active and no size change is open. So it is agreed only if every "yes" still stands: whoever
//     lost its memory since is vacated, which is a step of its own.
//  3. A node fences its store at its new epoch, removes the list, and then serves. What was stamped
//     e is refused from then on (G2): delayed writes and votes, repairs and replays, whose records
//     are stored at the epoch at which they were read (H1). A coordinator whose phase 2 spans the
//     step sends again only where the list names no tombstone of the key above its record, and
//     reports an unknown outcome otherwise (D2).
//  4. A node cannot arrive at or beyond e+1 without the list. It said yes at e, so it was at e and
//     not beyond, and held the list there. It can skip from e to any later epoch; but if that one's
//     purge sequence were two further, it would have had to say yes at an epoch between. A new
//     incarnation holds no list, and needs none: it copies from members that have removed it, at an
//     epoch after its vacating, which no purge can overtake while it is vacant (G3).
//
// Ages are no argument anywhere here. The wait before a tombstone is proposed only keeps the
// removes that are still being voted for, and the replicas that a hint or a repair is about to
// reach, from turning purges down.

// collector is the state of the node that proposes purges.
type collector struct {
	from  keyspace.Place      // where the next collection begins
	batch int                 // present size of a list: halved by a no, doubled when all say yes
	aging []replica.Tombstone // collected in the last round
}

const smallestBatch = 64

// grown is the next batch size after an answer.
func (c *collector) grown(agreed bool, most int) int {
	if agreed {
		return min(most, 2*c.batch)
	}
	return max(min(smallestBatch, most), c.batch/2)
}

// proposer reports whether this node proposes: the first of the slots, by name. Safety does not
// depend on there being one.
func proposer(v *replica.View) bool {
	for m := range v.Others() {
		if m.Name < v.Me().Name {
			return false
		}
	}
	return v.Me().Active() && complete(v)
}

// collect proposes purges, on the node whose task that is.
func (d *Driver) collect(ctx context.Context) {
	if d.cfg.PurgeEvery < 0 {
		return
	}
	c := &collector{batch: d.cfg.PurgeBatch}
	for rest(ctx, d.cfg.PurgeEvery) == nil {
		v := d.cfg.Views.Current()
		if !proposer(v) {
			c.aging = nil
			continue
		}
		d.round(ctx, v, c)
	}
}

// round proposes what the last round collected and is there still, and collects what the next one
// will propose.
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
	if next.IsZero() && !c.from.IsZero() { // the rest of the round from the beginning
		list, next, err = v.Store.Tombstones(v.Epoch, keyspace.Place{}, c.batch, list)
		if err != nil {
			return
		}
	}
	c.aging, c.from = unique(list), next
}

// unique drops the second of two equal keys: the two runs of a round may overlap.
func unique(list []replica.Tombstone) []replica.Tombstone {
	seen := make(map[string]struct{}, len(list))
	out := list[:0]
	for _, t := range list {
		if _, twice := seen[string(t.Key)]; !twice {
			seen[string(t.Key)] = struct{}{}
			out = append(out, t)
		}
	}
	return out
}

// propose asks all other slots whether they hold exactly the tombstones, and if so proposes to
// purge them. False: somebody does not; then a repair with that member is due.
func (d *Driver) propose(ctx context.Context, v *replica.View, tombstones []replica.Tombstone) bool {
	list := &List{ID: d.cfg.NewID(), At: v.Epoch, Tombstones: tombstones}
	type answer struct {
		from *replica.Member
		yes  bool
		err  error
	}
	others := slices.Collect(v.Others())
	answers := make(chan answer, len(others))
	for _, m := range others {
		go func() {
			yes, err := d.cfg.Peers.Hold(ctx, v, m, list)
			answers <- answer{m, yes, err}
		}()
	}
	agreed, holders := true, 1
	for range others {
		a := <-answers
		if a.yes && a.err == nil {
			holders++
			continue
		}
		agreed = false
		if a.err != nil && !v.Over() && ctx.Err() == nil {
			d.cfg.Logger.Debug("a purge was not answered", zap.String("member", a.from.Name), zap.Error(a.err))
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
	d.lists.keep(list)
	if err := d.cfg.Topology.Purge(ctx, list.ID, v.Epoch); err != nil {
		if ctx.Err() == nil && !v.Over() {
			d.cfg.Logger.Warn("a purge was not accepted by the topology; it is tried again", zap.Error(err))
		}
		return true // the members agreed: no reason for a smaller list
	}
	d.stats.purges.Add(1)
	return true
}

// want asks for a repair with a member.
func (d *Driver) want(m *replica.Member) { d.repairer(m.Holder()).wanted.Store(true) }
