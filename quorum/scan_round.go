package quorum

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"time"

	"viakv/api/kv"
	"viakv/ring/keyspace"
)

// round is a run of buckets and what is delivered of them.
type round struct {
	at, next place
	first    bool // of the scan
	last     bool // nothing follows
	view     *View
	buckets  []*Bucket
	pairs    []kv.Pair
	values   []byte // of keys that were read one by one
	err      error

	spare []*Bucket // to be used again
}

// reset makes the round begin at a place.
func (r *round) reset(at place) {
	r.spare = append(r.spare, r.buckets...)
	r.at, r.last, r.err = at, false, nil
	r.buckets, r.pairs, r.values = r.buckets[:0], r.pairs[:0], r.values[:0]
}

// bucket returns one to be filled.
func (r *round) bucket() *Bucket {
	if n := len(r.spare); n > 0 {
		b := r.spare[n-1]
		r.spare = r.spare[:n-1]
		return b
	}
	return new(Bucket)
}

// make fills a round, at the present epoch or at later ones, for as long as there is hope.
func (x *scanner) make(r *round) error {
	began := time.Now()
	pause := time.Millisecond
	for {
		err := x.renew()
		if err == nil {
			if err = x.try(r, x.view); err == nil {
				x.size = min(longestRound, roundGrowth*x.size)
				return nil
			}
		}
		var fatal *kv.Unavailable
		switch {
		case x.ctx.Err() != nil:
			return x.ctx.Err()
		case errors.Is(err, kv.ErrCleared), errors.Is(err, kv.ErrSnapshotMoved), errors.As(err, &fatal):
			return err
		case time.Since(began) > x.patience():
			return &kv.Unavailable{Outcome: kv.None, Reason: "the scan did not find enough replicas; /cluster shows who is reachable", Err: err}
		case errors.Is(err, errStale):
			x.scans.stats.renewed.Add(1)
		}
		x.turn++ // others may answer
		r.reset(r.at)
		x.await(x.view, pause)
		pause = min(2*pause, 100*time.Millisecond)
	}
}

// renew moves the scan to the present epoch (C3).
func (x *scanner) renew() error {
	v := x.scans.coordinator.cfg.Views.Current()
	switch {
	case v == nil || v.Incarnation() == 0:
		return errNotServing
	}
	if cluster, _ := x.scans.copies.Authority(v); cluster != x.cluster {
		return &kv.Unavailable{Outcome: kv.None, Reason: "the node has moved to another cluster during the scan"}
	}
	if v.Generation != x.generation {
		return kv.ErrCleared
	}
	x.view = v
	return nil
}

// await waits for a newer view, or a moment.
func (x *scanner) await(v *View, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-v.Superseded:
	case <-t.C:
	case <-x.ctx.Done():
	}
}

// lookBuffers are kept from one round to the next.
type lookBuffers struct {
	ranges []keyspace.Range
	theirs [MaxMembers][]Digest
}

// try fills a round at one epoch.
func (x *scanner) try(r *round, v *View) error {
	r.view = v
	sums := x.sums
	if sums != nil { // a round that fails leaves the sums as they were
		copied := *sums
		x.sums = &copied
	}
	err := x.fill(r, v)
	if err != nil {
		x.sums = sums
	}
	return err
}

// fill is try, but for the sums.
func (x *scanner) fill(r *round, v *View) error {
	first, err := x.own(r, v, r.at.rank, 0, x.size)
	if err != nil {
		return err
	}
	if r.first {
		x.began = first[0].Range.From
	}
	if end := first[len(first)-1].Range.To; end == 0 {
		r.last, r.next = true, place{}
	} else {
		r.next = place{rank: end}
	}
	agreed, err := x.compare(v, first)
	if err != nil {
		return err
	}
	for i, b := range first {
		if agreed[i] {
			x.scans.stats.agreed.Add(1)
			x.sum(b)
			x.deliver(r, b)
			continue
		}
		if err := x.again(r, v, b); err != nil {
			return err
		}
	}
	return nil
}

// own copies own buckets from a rank on: n of them at most, or, when n is zero, until they reach the given end.
func (x *scanner) own(r *round, v *View, at, end keyspace.Rank, n int) ([]*Bucket, error) {
	first := len(r.buckets)
	for {
		b := r.bucket()
		r.buckets = append(r.buckets, b)
		if err := x.scans.copies.Own(v, at, b); err != nil {
			return nil, err
		}
		b.from = at
		at = b.Range.To
		if at == 0 || n > 0 && len(r.buckets)-first == n || n == 0 && (end != 0 && at >= end) {
			return r.buckets[first:], nil
		}
	}
}

// again looks a second time at a range that has differed, and merges what differs still.
func (x *scanner) again(r *round, v *View, differs *Bucket) error {
	x.scans.stats.again.Add(1)
	tries := 1
	if x.options.Snapshot {
		tries = 5 // reads repair what differs; then the replicas agree, unless it is written again and again
	}
	from, to := differs.Range.From, differs.Range.To
	for {
		second, err := x.own(r, v, from, to, 0)
		if err != nil {
			return err
		}
		if got := second[len(second)-1].Range.To; second[0].Range.From != from || got != to {
			return errStale // buckets were merged: the neighbours' ranges overlap now, so the round is made anew
		}
		second[0].from = differs.from
		agreed, err := x.compare(v, second)
		if err != nil {
			return err
		}
		settled := true
		for _, ok := range agreed {
			settled = settled && ok
		}
		tries--
		for i, b := range second {
			switch {
			case agreed[i] && (settled || !x.options.Snapshot):
				x.sum(b)
				x.deliver(r, b)
			case !agreed[i]:
				if err := x.merge(r, v, b, !x.options.Snapshot); err != nil {
					return err
				}
			}
		}
		switch {
		case settled || !x.options.Snapshot:
			return nil
		case tries == 0:
			return kv.Detail(kv.ErrSnapshotMoved, "replicas differ in keys that are being written")
		}
	}
}

// deliver adds the live records of a bucket that the scan has not passed.
func (x *scanner) deliver(r *round, b *Bucket) {
	for i := range b.Records {
		c := &b.Records[i]
		if c.Record.Live() && x.wants(r, b, c) {
			x.add(r, kv.Pair{Key: c.Key, Value: c.Record.Value, Version: c.Record.Tag})
		}
	}
}

// wants reports whether a record found in a bucket is one to deliver.
func (x *scanner) wants(r *round, b *Bucket, c *Ranked) bool {
	return c.Rank >= b.from && !r.at.passed(c.Rank, c.Key) &&
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

// compare asks peers for the digests of the buckets' ranges and reports for each bucket whether enough replicas agree with the copy.
func (x *scanner) compare(v *View, buckets []*Bucket) ([]bool, error) {
	agreed := make([]bool, len(buckets))
	for i := range agreed {
		agreed[i] = true
	}
	more, err := x.others(v)
	if err != nil || more == 0 {
		return agreed, err
	}
	for begin := 0; begin < len(buckets); begin += MaxScanRanges {
		part := buckets[begin:min(begin+MaxScanRanges, len(buckets))]
		x.look.ranges = x.look.ranges[:0]
		for _, b := range part {
			x.look.ranges = append(x.look.ranges, b.Range)
		}
		if err := x.askDigests(v, more); err != nil {
			return nil, err
		}
		for _, m := range x.peers {
			for i, b := range part {
				if x.look.theirs[m][i] != b.Digest {
					agreed[begin+i] = false
				}
			}
		}
	}
	return agreed, nil
}

// others returns how many peers must agree with this node's copy: as many as make a read's answer firm (D4).
func (x *scanner) others(v *View) (int, error) {
	need, err := resolve(x.options.R, "r", v.Slots, v.R)
	if err != nil {
		return 0, err
	}
	if need+v.W > v.Slots {
		need = max(need, min(v.W, v.Slots-need+1))
	}
	return need - 1, nil
}

// askDigests gets the digests of the ranges being looked at from as many peers as are needed; who does not answer is replaced by another. The
// peers asked first change from round to round, so that all share the work.
func (x *scanner) askDigests(v *View, need int) error {
	x.peers = x.peers[:0]
	candidates := x.candidates(v)
	for len(x.peers) < need {
		ask := candidates[:min(need-len(x.peers), len(candidates))]
		candidates = candidates[len(ask):]
		if len(ask) == 0 {
			return errImpossible
		}
		errs := make([]error, len(ask))
		var asking sync.WaitGroup
		for i, m := range ask {
			asking.Go(func() {
				ctx, cancel := context.WithTimeout(x.ctx, x.scans.coordinator.cfg.Timeout)
				defer cancel()
				x.look.theirs[m], errs[i] = x.scans.copies.Digests(ctx, v, m, x.look.ranges, x.look.theirs[m][:0])
			})
		}
		asking.Wait()
		for i, m := range ask {
			switch {
			case errors.Is(errs[i], errStale):
				return errStale
			case errs[i] == nil && len(x.look.theirs[m]) == len(x.look.ranges):
				x.peers = append(x.peers, m)
			}
		}
	}
	return nil
}

// candidates lists the other active members, those likely to answer first, from the scan's turn on.
func (x *scanner) candidates(v *View) []int {
	var likely, unlikely []int
	for i := range v.Slots {
		m := (x.turn + i) % v.Slots
		switch {
		case m == v.Self || v.Members[m].Incarnation == 0:
		case x.scans.coordinator.cfg.Peers.Likely(v, m):
			likely = append(likely, m)
		default:
			unlikely = append(unlikely, m)
		}
	}
	x.turn++
	return append(likely, unlikely...)
}
