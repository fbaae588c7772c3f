package scan

import (
	"errors"
	"slices"

	"viakv/api/kv"
	"viakv/quorum/replica"
	"viakv/ring/keyspace"
)

// A snapshot scan delivers only buckets on which the replicas agree, and adds up their digests by
// partition. At the end it takes the digests of all partitions once more, this node's first and
// then its peers'. If each equals what was added up, the result was the store's one state at the
// moment when this node's digests were taken. There are two reasons. A record gives way only to a
// higher tag, so a record that is equal was not changed in between and back. And a write that had
// been answered before that moment is on W replicas. One of these is this node or a peer that was
// asked, so the write would show.
//
// Equal digests alone are not enough for what comes after that moment. A record on which these
// replicas agree may be missing at a member that answers gets from its own copy. So the scan reads
// what is not known to be complete before it delivers the bucket (complete.go). Then each later get
// finds that record or a newer one. If the read finds another record, the bucket is copied and
// compared again.
//
// So any moment after the last delivery will do. A peer may have yet to get a write from before the
// scan, or may be asked for the first time. That is no change: other peers are asked, for as long
// as a request may take. Only when this node's own digests have changed has something been written.
//
// A node that answers from its own copy asks nobody. Its copy holds all that was complete at that
// moment, and nothing else: the scan has made sure that what it delivered is complete.
//
// The sums take 8 KiB, however large the store is.
//
// A purge or a change of size during the scan may end it, too, although no value has changed.

// sum adds a delivered bucket to its partition's digest. The bucket's range may begin before the
// place at which a resumed scan began. Then the whole range counts, and the last comparison asks
// for the whole range, too.
func (x *scanner) sum(b *Bucket) {
	if x.sums != nil {
		p := b.Range.From.Partition()
		x.sums[p] = x.sums[p].Add(b.Digest)
	}
}

// errReplicasDiffer reports that the replicas asked by a snapshot scan differ.
var errReplicasDiffer = errors.New("replicas differ")

// confirmSnapshot compares what was delivered with what this node and enough others hold now. It
// returns ErrSnapshotMoved when this node holds something else, and errReplicasDiffer when only
// another member does.
func (x *scanner) confirmSnapshot() error {
	v, err := x.present()
	if err != nil {
		return err
	}
	more := 0
	if !x.alone(v) { // before it looks
		if more, err = x.others(v); err != nil {
			return err
		}
	}
	// Ask for all partitions, from the place where the scan began.
	x.ranges = x.ranges[:0]
	first := x.start.Rank.Partition()
	for p := first; p < keyspace.Partitions; p++ {
		r := p.Whole()
		if p == first {
			r.From = x.began
		}
		x.ranges = append(x.ranges, r)
	}
	// When the own digests have changed, something was written.
	own := make([]replica.Digest, len(x.ranges))
	for i, r := range x.ranges {
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
	// A peer that holds something else may be behind: the caller tries again.
	if err := x.askDigests(v, more); err != nil {
		return err
	}
	for _, m := range x.peers {
		if !slices.Equal(x.theirs[m], own) {
			return errReplicasDiffer
		}
	}
	return nil
}
