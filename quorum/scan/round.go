package scan

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"

	"viakv/api/kv"
	"viakv/api/sleep"
	"viakv/quorum/replica"
	"viakv/ring/keyspace"
)

// round is a run of buckets and the pairs that it delivers.
type round struct {
	at, next keyspace.Place
	last     bool // no round follows; next is then not set
	view     *replica.View
	alone    bool      // the own copy held all that was complete before it was copied (L3)
	buckets  []*Bucket // the round's own; those that recopy adds follow
	pairs    []kv.Pair
	err      error

	spare []*Bucket // to be filled again
}

// reset makes the round begin at a place.
func (r *round) reset(at keyspace.Place) {
	r.at, r.next, r.last, r.err = at, keyspace.Place{}, false, nil
	r.empty()
}

// empty takes all buckets and pairs out of the round.
func (r *round) empty() {
	r.spare = append(r.spare, r.buckets...)
	r.buckets, r.pairs = r.buckets[:0], r.pairs[:0]
}

// bucket adds a bucket to the round and returns it, to be filled.
func (r *round) bucket() *Bucket {
	var b *Bucket
	if n := len(r.spare); n > 0 {
		b, r.spare = r.spare[n-1], r.spare[:n-1]
	} else {
		b = new(Bucket)
	}
	r.buckets = append(r.buckets, b)
	return b
}

// present returns the view of the present epoch, or the reason why the scan cannot go on (C3).
func (x *scanner) present() (*replica.View, error) {
	v, err := replica.Serving(x.scans.cfg.Views)
	if err != nil {
		return nil, err
	}
	if v.Cluster != x.cluster {
		return nil, &kv.Unavailable{Outcome: kv.None, Reason: "the node has moved to another cluster during the scan"}
	}
	if v.Generation != x.generation {
		return nil, kv.ErrCleared
	}
	return v, nil
}

// patiently repeats try while epochs change, replicas do not answer, or the replicas of a snapshot
// differ. It does so for as long as a request may take.
func (x *scanner) patiently(try func() error) error {
	began, pause := time.Now(), time.Millisecond
	for {
		err := try()
		var final *kv.Unavailable
		switch {
		case err == nil:
			return nil
		case x.ctx.Err() != nil:
			return x.ctx.Err()
		case errors.Is(err, kv.ErrCleared), errors.Is(err, kv.ErrSnapshotMoved), errors.As(err, &final):
			return err
		case time.Since(began) > x.scans.cfg.Timeout:
			if errors.Is(err, errReplicasDiffer) {
				return kv.Detail(kv.ErrSnapshotMoved, "replicas differ, in keys that are being written or that some have yet to get")
			}
			if !errors.Is(err, kv.ErrTooFewReplicas) {
				err = fmt.Errorf("%w: %w", kv.ErrTooFewReplicas, err)
			}
			return &kv.Unavailable{Outcome: kv.None, Reason: "the scan did not find enough replicas", Err: err}
		case errors.Is(err, replica.ErrEpoch):
			x.scans.stats.renewed.Add(1)
		}
		sleep.For(x.ctx, pause)
		pause = min(2*pause, 50*time.Millisecond)
	}
}

// fill copies own buckets to a round: n of them, or those up to the round's end when n is zero. It
// adds at once the pairs that are delivered if all replicas agree, while the buckets are in the
// processor's cache.
func (x *scanner) fill(r *round, v *replica.View, n int) error {
	r.empty()
	r.view, r.alone = v, x.alone(v) // before it looks
	for at := r.at.Rank; ; {
		b := r.bucket()
		if err := x.scans.cfg.Own.Own(v, at, b); err != nil {
			return err
		}
		b.from, at = at, b.Range.To
		switch {
		case at == 0:
			if n > 0 {
				r.last = true
			}
			n = len(r.buckets)
		case n > 0 && len(r.buckets) == n:
			r.next = keyspace.Place{Rank: at}
		case n == 0 && !r.last && at >= r.next.Rank:
			n = len(r.buckets)
		}
		x.deliver(r, b)
		if len(r.buckets) == n {
			return nil
		}
	}
}

// firm turns a copied round into one that may be delivered (C2). Each further attempt first copies
// the round again, up to the same end, because the copier has already gone on from there.
func (x *scanner) firm(r *round, first bool) error {
	again := false
	return x.patiently(func() error {
		if again {
			v, err := x.present()
			if err != nil {
				return err
			}
			if err := x.fill(r, v, 0); err != nil {
				return err
			}
		}
		again = true
		if first {
			x.began = r.buckets[0].Range.From
		}
		before := x.sums
		if before != nil {
			copied := *before
			x.sums = &copied
		}
		err := x.settle(r)
		if err == nil && first {
			err = x.passClear(r.view)
		}
		if err != nil {
			x.sums = before
			x.turn++ // other members may answer
		}
		return err
	})
}

// settle confirms a round's buckets. Where the replicas do not agree on all of them, or a record is
// not known to be complete, it makes the round's pairs anew.
func (x *scanner) settle(r *round) error {
	own, need, settled := slices.Clone(r.buckets), 0, &x.scans.stats.alone
	if !r.alone {
		var err error
		if need, err = x.others(r.view); err != nil {
			return err
		}
		settled = &x.scans.stats.agreed
	}
	agreed, err := x.compare(r.view, own, need)
	if err != nil {
		return err
	}
	whole := !slices.Contains(agreed, false)
	for i, b := range own {
		b.open = b.open && agreed[i] && x.unfinished(r, b)
		whole = whole && !b.open
	}
	if !whole {
		r.pairs = r.pairs[:0]
	}
	for i, b := range own {
		switch {
		case !agreed[i]:
			if err := x.again(r, b); err != nil {
				return err
			}
			continue
		case b.open:
			if err := x.complete(r, b); err != nil {
				return err
			}
		case !whole:
			x.deliver(r, b)
		}
		x.sum(b)
		settled.Add(1)
	}
	return nil
}

// again compares a bucket that has differed a second time, and merges those parts that still
// differ.
func (x *scanner) again(r *round, differs *Bucket) error {
	x.scans.stats.again.Add(1)
	second, err := x.recopy(r, differs)
	if err != nil {
		return err
	}
	need, err := x.others(r.view)
	if err != nil {
		return err
	}
	agreed, err := x.compare(r.view, second, need)
	if err != nil {
		return err
	}
	for i, b := range second {
		if agreed[i] {
			x.sum(b)
			err = x.complete(r, b)
		} else {
			err = x.merge(r, b)
		}
		if err != nil {
			return err
		}
	}
	if x.options.Snapshot && slices.Contains(agreed, false) {
		return errReplicasDiffer
	}
	return nil
}

// recopy copies the range of an own bucket once more. The range may have several buckets by now. If
// it has become part of a wider bucket, that bucket overlaps with its neighbours, and the round
// must be made anew.
func (x *scanner) recopy(r *round, old *Bucket) ([]*Bucket, error) {
	first := len(r.buckets)
	for at := old.Range.From; ; {
		b := r.bucket()
		if err := x.scans.cfg.Own.Own(r.view, at, b); err != nil {
			return nil, err
		}
		if b.Range.From != at || !old.Range.Covers(b.Range) {
			return nil, replica.ErrEpoch
		}
		b.from = max(at, old.from)
		if at = b.Range.To; at == old.Range.To {
			return slices.Clone(r.buckets[first:]), nil
		}
	}
}

// deliver adds those live records of an own bucket that the scan has not passed. It notes whether a
// record must be known to be complete and is not.
func (x *scanner) deliver(r *round, b *Bucket) {
	b.open = false
	if b.from > b.Range.From || r.at.Within(b.Range) || r.endsBefore(b) {
		x.scans.cfg.Own.Unpack(b)
		for i := range b.Records {
			c := &b.Records[i]
			if !x.wants(r, b, c) {
				continue
			}
			b.open = b.open || x.mustRead(r.view, &c.Record)
			if c.Record.Live() {
				x.addOwn(r, c)
			}
		}
		return
	}
	first := len(r.pairs)
	var confirmed bool
	r.pairs, confirmed = x.scans.cfg.Own.Live(r.view, b, r.pairs)
	b.open = !confirmed && x.needsComplete(r.view)
	if x.options.Prefix == "" && x.options.Values {
		return
	}
	fresh := r.pairs[first:]
	r.pairs = r.pairs[:first]
	for _, p := range fresh {
		if bytes.HasPrefix(p.Key, []byte(x.options.Prefix)) {
			x.add(r, p)
		}
	}
}

// endsBefore reports whether the bucket has records that belong to the next round. All its records
// may belong there: when the round was copied again it may have ended with a wide bucket, which has
// been split since.
func (r *round) endsBefore(b *Bucket) bool {
	return r.next.Rank != 0 && (b.Range.To == 0 || r.next.Rank < b.Range.To)
}

// wants reports whether the scan delivers a record that was found in a bucket. It does not deliver
// a record that it has passed, or that belongs to the next round (C1).
func (x *scanner) wants(r *round, b *Bucket, c *replica.Entry) bool {
	return c.Rank >= b.from && !r.at.Passed(c.Rank, c.Key) && (r.next.Rank == 0 || c.Rank < r.next.Rank) &&
		(x.options.Prefix == "" || bytes.HasPrefix(c.Key, []byte(x.options.Prefix)))
}

func (x *scanner) addOwn(r *round, c *replica.Entry) {
	x.add(r, kv.Pair{Key: c.Key, Value: c.Record.Value, Version: c.Record.Tag})
}

func (x *scanner) add(r *round, p kv.Pair) {
	if !x.options.Values {
		p.Value = nil
	} else if p.Value == nil {
		p.Value = []byte{}
	}
	r.pairs = append(r.pairs, p)
}
