package scan

import (
	"errors"
	"slices"

	"viakv/api/kv"
	"viakv/quorum/replica"
	"viakv/ring/keyspace"
)

// A snapshot scan delivers only buckets on which the replicas agree, and adds up their digests by
// partition. At the end it takes the digests of all partitions once more, its own first and then
// its peers'. If every one is what was added up, then the result was the store's one state at the
// moment when the own ones were taken: records only ever give way to higher tags, so what is equal
// was not changed in between and back, and a write that had been answered before that moment is on
// W replicas, one of them this node or one asked, and would show.
//
// So any moment after the last delivery will do, and a replica that has yet to get a write from
// before the scan, or is asked for the first time, is no change: others are asked, for as long as a
// request may take. Only when the own digests are others has something been written.
//
// The sums take 8 KiB, however large the store is.
//
// A purge or a size change during the scan may end it, too, although no value has changed.

// sum adds a bucket that is delivered to its partition's digest. The bucket's range may begin
// before the place at which a resumed scan began; then its whole range counts, which is what the
// end is asked for.
func (x *scanner) sum(b *Bucket) {
	if x.sums != nil {
		p := b.Range.From.Partition()
		x.sums[p] = x.sums[p].Add(b.Digest)
	}
}

// errApart: the replicas asked by a snapshot scan differ.
var errApart = errors.New("replicas differ")

// unmoved compares what was delivered with what this node and enough others hold now:
// ErrSnapshotMoved when this node holds something else, errApart when only another does.
func (x *scanner) unmoved() error {
	v, err := x.present()
	if err != nil {
		return err
	}
	more, err := x.others(v)
	if err != nil {
		return err
	}
	x.look.ranges = x.look.ranges[:0]
	first := x.start.Rank.Partition()
	for p := first; p < keyspace.Partitions; p++ {
		r := p.Whole()
		if p == first {
			r.From = x.began
		}
		x.look.ranges = append(x.look.ranges, r)
	}
	own := make([]replica.Digest, len(x.look.ranges))
	for i, r := range x.look.ranges {
		var err error
		if own[i], err = v.Store.Digest(v.Epoch, r); err != nil {
			return err
		}
	}
	for i := range own {
		if own[i] != x.sums[int(first)+i] {
			return kv.ErrSnapshotMoved
		}
	}
	if more == 0 {
		return nil
	}
	if err := x.askDigests(v, more); err != nil {
		return err
	}
	for _, m := range x.peers {
		if !slices.Equal(x.look.theirs[m], own) {
			return errApart
		}
	}
	return nil
}
