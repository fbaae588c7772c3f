package quorum

import (
	"viakv/api/kv"
	"viakv/ring/keyspace"
)

// A snapshot scan delivers only buckets on which the replicas agree, and adds up their digests by partition. At the end it asks for the digests of
// all partitions once more. If every one is what was added up, then no replica of the last quorum held anything else at the
// moment between the last delivery and the first of these questions: records only ever give way to higher tags, so what is equal at the end was not changed
// in between and back. A write that had been answered before that moment is on W replicas, one of them asked here, and would show.
// The sums take 8 KiB, however large the store is.
//
// A purge or a size change during the scan may end it, too, although no value has changed.

// sum adds a bucket that is delivered to its partition's digest. The bucket's range may begin before the place at which a resumed
// scan began; then its whole range counts, which is what the end is asked for.
func (x *scanner) sum(b *Bucket) {
	if x.sums != nil {
		p := b.Range.From.Partition()
		x.sums[p] = x.sums[p].Add(b.Digest)
	}
}

// unmoved compares what was delivered with what this node and enough others hold now: ErrSnapshotMoved when that is something else.
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
	first := x.start.rank.Partition()
	for p := first; p < keyspace.Partitions; p++ {
		r := p.Whole()
		if p == first {
			r.From = x.began
		}
		x.look.ranges = append(x.look.ranges, r)
	}
	own, err := x.scans.copies.OwnDigests(v, x.look.ranges, nil)
	if err != nil {
		return err
	}
	if more > 0 {
		if err := x.askDigests(v, more); err != nil {
			return err
		}
	} else {
		x.peers = x.peers[:0]
	}
	for i := range x.look.ranges {
		want := x.sums[int(first)+i]
		moved := own[i] != want
		for _, m := range x.peers {
			moved = moved || x.look.theirs[m][i] != want
		}
		if moved {
			return kv.ErrSnapshotMoved
		}
	}
	return nil
}
