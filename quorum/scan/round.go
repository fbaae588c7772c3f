package scan

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"

	"viakv/api/kv"
	"viakv/quorum/replica"
	"viakv/ring/keyspace"
)

// round is a run of buckets and what is delivered of them.
type round struct {
	at, next keyspace.Place
	last     bool // nothing follows; next means nothing
	view     *replica.View
	buckets  []*Bucket // the own ones of the round come first
	pairs    []kv.Pair
	values   []byte // of keys that were read one by one
	err      error

	spare []*Bucket // to be used again
}

// reset makes the round begin at a place.
func (r *round) reset(at keyspace.Place) {
	r.at, r.next, r.last, r.err = at, keyspace.Place{}, false, nil
	r.empty()
}

// empty takes everything out of the round.
func (r *round) empty() {
	r.spare = append(r.spare, r.buckets...)
	r.buckets, r.pairs, r.values = r.buckets[:0], r.pairs[:0], r.values[:0]
}

// bucket returns one to be filled, which is the round's.
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

// present returns the view of the present epoch, or why the scan cannot go on (C3).
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

// patiently tries something again while epochs change, replicas do not answer, or those of a
// snapshot differ, for as long as a request may take.
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
			if errors.Is(err, errApart) {
				return kv.Detail(kv.ErrSnapshotMoved, "replicas differ, in keys that are being written or that some have yet to get")
			}
			if !errors.Is(err, kv.ErrTooFewReplicas) {
				err = fmt.Errorf("%w: %w", kv.ErrTooFewReplicas, err)
			}
			return &kv.Unavailable{Outcome: kv.None, Reason: "the scan did not find enough replicas", Err: err}
		case errors.Is(err, replica.ErrEpoch):
			x.scans.stats.renewed.Add(1)
		}
		t := time.NewTimer(pause)
		select {
		case <-t.C:
		case <-x.ctx.Done():
			t.Stop()
		}
		pause = min(2*pause, 50*time.Millisecond)
	}
}

// fill copies own buckets to a round: n of them, or, when n is zero, those up to the round's end.
// What would be delivered if all replicas agree with them is put together at once, while they are
// in the processor's cache.
func (x *scanner) fill(r *round, v *replica.View, n int) error {
	r.empty()
	r.view = v
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

// firm makes a copied round one that may be delivered (C2). When its epoch has ended it is copied
// again first, to the same end: who copies is ahead already.
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
		if err != nil {
			x.sums = before
			x.turn++ // others may answer
		}
		return err
	})
}

// settle confirms a round's buckets, and puts together anew what is delivered where they do not all
// agree.
func (x *scanner) settle(r *round) error {
	own := slices.Clone(r.buckets)
	agreed, err := x.compare(r.view, own)
	if err != nil {
		return err
	}
	whole := !slices.Contains(agreed, false)
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
		case !whole:
			x.deliver(r, b)
		}
		x.sum(b)
		x.scans.stats.agreed.Add(1)
	}
	return nil
}

// again looks a second time at a bucket that has differed, and merges what differs still.
func (x *scanner) again(r *round, differs *Bucket) error {
	x.scans.stats.again.Add(1)
	second, err := x.recopy(r, differs)
	if err != nil {
		return err
	}
	agreed, err := x.compare(r.view, second)
	if err != nil {
		return err
	}
	for i, b := range second {
		if agreed[i] {
			x.sum(b)
			x.deliver(r, b)
		} else if err := x.merge(r, b); err != nil {
			return err
		}
	}
	if x.options.Snapshot && slices.Contains(agreed, false) {
		return errApart
	}
	return nil
}

// recopy copies the range of an own bucket once more, in which there may be several by now. If it
// has become part of a wider one the neighbours' ranges overlap, and the round must be made anew.
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

// deliver adds the live records of an own bucket that the scan has not passed.
func (x *scanner) deliver(r *round, b *Bucket) {
	if b.from > b.Range.From || r.at.Within(b.Range) || r.endsBefore(b) {
		x.scans.cfg.Own.Unpack(b)
		for i := range b.Records {
			if c := &b.Records[i]; c.Record.Live() && x.wants(r, b, c) {
				x.add(r, kv.Pair{Key: c.Key, Value: c.Record.Value, Version: c.Record.Tag})
			}
		}
		return
	}
	first := len(r.pairs)
	r.pairs = x.scans.cfg.Own.Live(b, r.pairs)
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

// endsBefore reports whether records of a bucket are the next round's. All of them can be: of a
// wide bucket that the round was copied again with, and that has been split since.
func (r *round) endsBefore(b *Bucket) bool {
	return r.next.Rank != 0 && (b.Range.To == 0 || r.next.Rank < b.Range.To)
}

// wants reports whether a record found in a bucket is one to deliver: not passed, and not the next
// round's (C1).
func (x *scanner) wants(r *round, b *Bucket, c *replica.Entry) bool {
	return c.Rank >= b.from && !r.at.Passed(c.Rank, c.Key) && (r.next.Rank == 0 || c.Rank < r.next.Rank) &&
		(x.options.Prefix == "" || bytes.HasPrefix(c.Key, []byte(x.options.Prefix)))
}

func (x *scanner) add(r *round, p kv.Pair) {
	if !x.options.Values {
		p.Value = nil
	} else if p.Value == nil {
		p.Value = []byte{}
	}
	r.pairs = append(r.pairs, p)
}

// ranges of buckets.
func (x *scanner) ranges(buckets []*Bucket) []keyspace.Range {
	x.look.ranges = x.look.ranges[:0]
	for _, b := range buckets {
		x.look.ranges = append(x.look.ranges, b.Range)
	}
	return x.look.ranges
}
