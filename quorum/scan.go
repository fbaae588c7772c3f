package quorum

import (
	"context"
	"sync"
	"sync/atomic"

	"viakv/api/kv"
	"viakv/quorum/replica"
	"viakv/quorum/version"
	"viakv/ring/keyspace"
)

// A scan walks over the buckets of this node's own copy in the order of ranks, a round of them at a
// time:
//
//	copy a round of own buckets ─▶ ask R-1 peers for their digests of exactly these ranges
//	   a range agrees ─▶ all its keys satisfy D4: deliver the own records
//	   it differs     ─▶ look again: a write was under way, mostly
//	      it differs twice ─▶ copy the range from the same peers;
//	                          read each key on which they differ through the coordinator
//
// Three work at once, each on a round of its own: one copies, one confirms with the peers, one
// delivers. Its invariants:
//
//	C1. A key is delivered at most once: rounds are disjoint intervals of ranks, however the buckets
//	    split and merge meanwhile.
//	C2. Each pair delivered is what a read of its key would have answered at some moment of the
//	    scan: its record was on as many replicas, at one epoch, as a read asks (D4), or a read
//	    answered it.
//	C3. A round is stamped with one epoch. When the epoch ends the round is made again; a clear ends
//	    the scan.
//	C4. A cursor is a place in the order of ranks and nothing else. Every node of the cluster can go
//	    on from it.
//	C5. A scan whose reader stops costs four rounds of memory and no lock.

// Bucket is a copy of the records of a range.
type Bucket struct {
	Range   keyspace.Range
	Digest  replica.Digest
	Records []replica.Entry // of a copy: ascending by rank and key; borrow Memory, or a peer's pages
	Memory  any             // whatever Buckets keep the bytes in, from one use to the next

	from keyspace.Rank // what lies below is not this bucket's to deliver: buckets were merged meanwhile (C1)
}

// Buckets gives a scan the ranges of this node's own replica. Its methods do not block and are safe
// for concurrent use.
type Buckets interface {
	// Own copies the bucket that holds a rank to b's Memory and sets Range, which may begin below
	// the rank, and Digest. Once the view's epoch has ended it is a replica.ErrEpoch.
	Own(v *replica.View, at keyspace.Rank, b *Bucket) error
	// Live appends those records of a bucket that hold a value, ascending by rank and key. The
	// pairs borrow b's Memory. Most buckets are delivered just so, which is why this is a way of
	// its own.
	Live(b *Bucket, dst []kv.Pair) []kv.Pair
	// Unpack sets the Records of a bucket.
	Unpack(b *Bucket)
}

// RangePeers gives a scan the ranges of other members. A request is stamped with the view's epoch.
// A peer that is behind is brought up to date first; once the epoch has ended, here or there, the
// answer is replica.ErrEpoch. The methods block until the reply, a failure, or the end of ctx, and
// are safe for concurrent use.
type RangePeers interface {
	// Digests appends a member's digests of the ranges, at most MaxScanRanges.
	Digests(ctx context.Context, v *replica.View, to *replica.Member, ranges []keyspace.Range, dst []replica.Digest) ([]replica.Digest, error)
	// Copy fills p with the member's first records of the range behind a key at its first rank,
	// nil: all of them. About max bytes.
	Copy(ctx context.Context, v *replica.View, to *replica.Member, r keyspace.Range, after []byte, max int, p *replica.Page) error
}

// MaxScanRanges bounds the ranges that a scan asks about at once.
const MaxScanRanges = 256

// Sizes of rounds, in buckets: a scan that stops soon has not copied much, one that goes on asks
// seldom.
const (
	firstRound   = 8
	roundGrowth  = 4
	longestRound = 128
	roundsAhead  = 4 // one being copied, one being confirmed, one handed on, one being read
)

// Scans makes scanners.
type Scans struct {
	coordinator *Coordinator
	own         Buckets
	peers       RangePeers
	turn        atomic.Uint32 // where the next scan begins to ask, so that peers share the work
	stats       scanCounters
}

// NewScans returns scans over what the coordinator reads.
func NewScans(c *Coordinator, own Buckets, peers RangePeers) *Scans {
	return &Scans{coordinator: c, own: own, peers: peers}
}

// ScanStats counts what scans did.
type ScanStats struct {
	Scans   uint64 // begun
	Agreed  uint64 // buckets on which the replicas agreed at once
	Again   uint64 // buckets that were looked at a second time
	Merged  uint64 // buckets that differed twice
	Read    uint64 // keys read one by one because of that
	Renewed uint64 // rounds made again at a newer epoch
}

type scanCounters struct{ scans, agreed, again, merged, read, renewed atomic.Uint64 }

// Stats returns the present counts.
func (s *Scans) Stats() ScanStats {
	return ScanStats{
		Scans: s.stats.scans.Load(), Agreed: s.stats.agreed.Load(), Again: s.stats.again.Load(),
		Merged: s.stats.merged.Load(), Read: s.stats.read.Load(), Renewed: s.stats.renewed.Load(),
	}
}

// begin begins a scan, or resumes one.
func (s *Scans) begin(ctx context.Context, o kv.ScanOptions) (*scanner, error) {
	v := s.coordinator.cfg.Views.Current()
	if v == nil || v.Incarnation() == 0 {
		return nil, errNotServing
	}
	if _, err := resolve(o.R, "r", v.Slots, v.R); err != nil {
		return nil, err
	}
	x := &scanner{scans: s, options: o, cluster: v.Cluster, generation: v.Generation, turn: int(s.turn.Add(1))}
	if o.Cursor != "" {
		at, err := parseCursor(o.Cursor, v.Cluster, v.CursorKey, v.Generation, &o)
		if err != nil {
			return nil, err
		}
		x.start = at
	}
	s.stats.scans.Add(1)
	// The rounds are made under a context of the scanner's own: Close ends it, whoever has given up
	// meanwhile.
	x.ctx, x.cancel = context.WithCancel(context.WithoutCancel(ctx))
	x.copied, x.rounds, x.free = make(chan *round), make(chan *round), make(chan *round, roundsAhead)
	for range roundsAhead {
		x.free <- new(round)
	}
	x.workers.Go(x.copy)
	x.workers.Go(x.confirm)
	return x, nil
}

// scanner is one scan under way: who copies rounds, who confirms them, and the reader that takes
// them.
type scanner struct {
	scans      *Scans
	options    kv.ScanOptions
	cluster    uint64
	generation version.Generation
	start      keyspace.Place
	ctx        context.Context
	cancel     context.CancelFunc
	workers    sync.WaitGroup
	copied     chan *round // to be confirmed
	rounds     chan *round // to the reader
	free       chan *round // back to be filled

	// The reader's.
	current *round // delivered last
	ahead   *round // taken already
	ended   bool

	// The confirmer's.
	turn  int                                  // whom to ask first
	peers []int                                // who answered last
	began keyspace.Rank                        // where the first bucket begins
	sums  *[keyspace.Partitions]replica.Digest // of a snapshot: what was delivered of each partition
	look  lookBuffers
}

// Next implements kv.Scanner.
func (x *scanner) Next(ctx context.Context, b *kv.Batch) (bool, error) {
	x.recycle()
	if err := x.advance(ctx); err != nil || x.ahead == nil {
		return false, err
	}
	x.current, x.ahead = x.ahead, nil
	if err := x.current.err; err != nil {
		x.ended = true
		return false, err
	}
	b.Reset()
	b.Pairs = append(b.Pairs, x.current.pairs...)
	return true, nil
}

// advance takes rounds until there is one to deliver.
func (x *scanner) advance(ctx context.Context) error {
	for x.ahead == nil && !x.ended {
		select {
		case r, ok := <-x.rounds:
			switch {
			case !ok:
				x.ended = true
			case r.err == nil && len(r.pairs) == 0:
				x.free <- r
			default:
				x.ahead = r
			}
		case <-ctx.Done():
			return &kv.Unavailable{Outcome: kv.None, Reason: "the scan was given up while it waited for its replicas", Err: ctx.Err()}
		}
	}
	return nil
}

// recycle gives the round delivered last back: its memory is overwritten from here on.
func (x *scanner) recycle() {
	if x.current != nil && !x.ended {
		x.free <- x.current
	}
	x.current = nil
}

// Cursor implements kv.Scanner. After the last pair of a batch it waits for the next round: only
// that tells whether anything follows.
func (x *scanner) Cursor(n int) string {
	r := x.current
	switch {
	case r == nil:
		return ""
	case n <= 0:
		return x.cursor(r.at)
	case n < len(r.pairs):
		key := r.pairs[n-1].Key
		return x.cursor(keyspace.Place{Rank: r.view.Seed.Hash(key).Rank(), Key: key})
	}
	_ = x.advance(x.ctx)
	if x.ahead == nil {
		return ""
	}
	return x.cursor(r.next)
}

func (x *scanner) cursor(p keyspace.Place) string {
	v := x.current.view
	return appendCursor(p, v.Cluster, v.CursorKey, x.generation, &x.options)
}

// Close implements kv.Scanner.
func (x *scanner) Close() {
	x.cancel()
	x.workers.Wait()
}

// copy fills one round after another from the own replica, until the end, an error, or Close.
func (x *scanner) copy() {
	defer close(x.copied)
	size := firstRound
	for at, more := x.start, true; more; {
		var r *round
		select {
		case r = <-x.free:
		case <-x.ctx.Done():
			return
		}
		r.reset(at)
		r.err = x.patiently(func() error {
			v, err := x.present()
			if err != nil {
				return err
			}
			return x.fill(r, v, size)
		})
		size = min(longestRound, roundGrowth*size)
		at, more = r.next, r.err == nil && !r.last
		select {
		case x.copied <- r:
		case <-x.ctx.Done():
			return
		}
	}
}

// confirm makes of copied rounds what may be delivered.
func (x *scanner) confirm() {
	defer close(x.rounds)
	if x.options.Snapshot {
		x.sums = new([keyspace.Partitions]replica.Digest)
	}
	for first := true; ; first = false {
		var r *round
		var ok bool
		select {
		case r, ok = <-x.copied:
		case <-x.ctx.Done():
		}
		if !ok {
			return
		}
		if r.err == nil {
			r.err = x.firm(r, first)
		}
		if r.err == nil && r.last && x.options.Snapshot {
			r.err = x.patiently(x.unmoved)
		}
		failed := r.err != nil // the round is the reader's once it is handed on
		select {
		case x.rounds <- r:
		case <-x.ctx.Done():
			return
		}
		if failed {
			return
		}
	}
}
