package scan

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"viakv/api/kv"
	"viakv/quorum/replica"
	"viakv/quorum/version"
	"viakv/ring/keyspace"
)

// Bucket is a copy of the records of a range.
type Bucket struct {
	Range  keyspace.Range
	Digest replica.Digest
	// Records are ascending by rank and key. They borrow Memory.
	Records []replica.Entry
	Memory  any // where Buckets keep the bytes, from one use to the next

	// from is the first rank that this bucket delivers (C1). It lies within the range when buckets
	// have merged since, or when a scan was resumed there.
	from keyspace.Rank
	open bool // a record that the scan must know to be complete was not confirmed
}

// Buckets gives a scan the ranges of this node's own replica. Its methods do not block and are safe
// for concurrent use.
type Buckets interface {
	// Own copies the bucket that holds a rank to b's Memory, and sets Range and Digest. Range may
	// begin below the rank. Own returns replica.ErrEpoch once the view's epoch has ended.
	Own(v *replica.View, at keyspace.Rank, b *Bucket) error
	// Live appends those records of a bucket that hold a value, ascending by rank and key. The
	// pairs borrow b's Memory. Live also reports whether the view confirms all records of the
	// bucket, its tombstones included. Most buckets are delivered in this way, without Unpack.
	Live(v *replica.View, b *Bucket, dst []kv.Pair) (pairs []kv.Pair, confirmed bool)
	// Unpack sets the Records of a bucket.
	Unpack(b *Bucket)
}

// Peers gives a scan the ranges of other members. A request is stamped with the view's epoch. A
// peer that is behind is first brought up to date. Once the epoch has ended, here or at the peer,
// the answer is replica.ErrEpoch. Digests and Copy block until the reply, a failure, or the end of
// ctx. All methods are safe for concurrent use.
type Peers interface {
	// Digests appends a member's digests of the ranges, at most maxRanges.
	Digests(ctx context.Context, v *replica.View, to *replica.Member, ranges []keyspace.Range, dst []replica.Digest) ([]replica.Digest, error)
	// Copy fills p with the member's first records of the range, about max bytes of them. When
	// after is not nil, the records begin behind that key at the range's first rank.
	Copy(ctx context.Context, v *replica.View, to *replica.Member, r keyspace.Range, after []byte, max int, p *replica.Page) error
	// Answers reports whether no answer of a member, given by its index, is known to be overdue.
	Answers(v *replica.View, member int) bool
}

// Reader reads one key from a quorum, and repairs the key where replicas differ. It appends the
// value to dst.
type Reader interface {
	Get(ctx context.Context, dst, key []byte, o kv.Options) ([]byte, version.Tag, error)
}

// Config of Scans.
type Config struct {
	Views  replica.Views
	Own    Buckets
	Peers  Peers
	Reader Reader
	// Timeout bounds how long a round waits for enough replicas. Required: there is no default.
	Timeout time.Duration
}

// maxRanges bounds the ranges that a scan asks about at once.
const maxRanges = 256

// Sizes of rounds, in buckets. Rounds grow: a scan that stops soon has not copied much, and a long
// one asks its peers seldom.
const (
	firstRound   = 8
	roundGrowth  = 4
	longestRound = 128
	roundsAhead  = 4 // one being copied, one being confirmed, one handed on, one being read
)

// Scans makes scanners. It is safe for concurrent use.
type Scans struct {
	cfg   Config
	turn  atomic.Uint32 // where the next scan begins to ask, so that the peers share the work
	stats counters
}

// New returns Scans over what this node and its peers hold.
func New(cfg Config) *Scans { return &Scans{cfg: cfg} }

// Stats counts what scans did.
type Stats struct {
	Scans   uint64 // scans that were begun
	Alone   uint64 // buckets that were delivered from this node's own copy, which held all (L3)
	Agreed  uint64 // buckets on which the replicas agreed at once
	Again   uint64 // buckets that were looked at a second time
	Merged  uint64 // buckets that differed twice
	Read    uint64 // keys that were read one by one: in such buckets, or not known to be complete
	Renewed uint64 // rounds made again at a newer epoch
}

type counters struct{ scans, alone, agreed, again, merged, read, renewed atomic.Uint64 }

// Stats returns the present counts.
func (s *Scans) Stats() Stats {
	return Stats{
		Scans: s.stats.scans.Load(), Alone: s.stats.alone.Load(), Agreed: s.stats.agreed.Load(), Again: s.stats.again.Load(),
		Merged: s.stats.merged.Load(), Read: s.stats.read.Load(), Renewed: s.stats.renewed.Load(),
	}
}

// restarting is a scanner that begins anew when a clear ends it before it has delivered anything. A
// scan at one node may begin right after another node has answered a clear, and must not fail for
// that. Once the scanner has delivered something, or when it was resumed from a cursor, a clear
// ends it.
type restarting struct {
	*scanner
	delivered bool
}

// Scan begins a scan, or resumes one.
func (s *Scans) Scan(ctx context.Context, o kv.ScanOptions) (kv.Scanner, error) {
	x, err := s.begin(ctx, o)
	if err != nil {
		return nil, err
	}
	return &restarting{scanner: x, delivered: o.Cursor != ""}, nil
}

// Next implements kv.Scanner.
func (s *restarting) Next(ctx context.Context, b *kv.Batch) (bool, error) {
	for {
		ok, err := s.scanner.Next(ctx, b)
		if s.delivered || !errors.Is(err, kv.ErrCleared) {
			s.delivered = s.delivered || ok
			return ok, err
		}
		next, err := s.scans.begin(ctx, s.options)
		if err != nil {
			return false, err
		}
		s.Close()
		s.scanner = next
	}
}

// begin begins a scan, or resumes one.
func (s *Scans) begin(ctx context.Context, o kv.ScanOptions) (*scanner, error) {
	v, err := replica.Serving(s.cfg.Views)
	if err != nil {
		return nil, err
	}
	if _, err := v.ReadQuorum(o.R); err != nil {
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
	// The rounds have a context of the scanner's own. Close ends it; the end of the request's
	// context does not.
	x.ctx, x.cancel = context.WithCancel(context.WithoutCancel(ctx))
	x.copied, x.rounds, x.free = make(chan *round), make(chan *round), make(chan *round, roundsAhead)
	for range roundsAhead {
		x.free <- new(round)
	}
	x.workers.Go(x.copy)
	x.workers.Go(x.confirm)
	return x, nil
}

// scanner is one scan under way: the goroutines that copy and confirm rounds, and the state of the
// reader that takes the rounds.
type scanner struct {
	scans      *Scans
	options    kv.ScanOptions
	cluster    uint64
	generation version.Generation
	start      keyspace.Place
	ctx        context.Context
	cancel     context.CancelFunc
	workers    sync.WaitGroup
	copied     chan *round // to the confirmer
	rounds     chan *round // to the reader
	free       chan *round // back to the copier, to be filled again

	// Owned by the reader.
	current *round // the round delivered last
	ahead   *round // the next round, if it was already taken
	ended   bool

	// Owned by the confirmer.
	turn  int           // the member to ask first
	peers []int         // the members that answered last
	began keyspace.Rank // the rank at which the first bucket begins
	// sums are the digests of what a snapshot scan has delivered, by partition; nil for other
	// scans.
	sums *[keyspace.Partitions]replica.Digest
	// ranges is what was compared last, and theirs the members' digests of it. Their memory is used
	// again.
	ranges []keyspace.Range
	theirs [kv.MaxMembers][]replica.Digest
	// slow is the time until which a member that has not answered is asked after the others.
	slow [kv.MaxMembers]time.Time
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

// recycle returns the round that was delivered last, to be filled again. From then on its memory is
// overwritten.
func (x *scanner) recycle() {
	if x.current != nil && !x.ended {
		x.free <- x.current
	}
	x.current = nil
}

// Cursor implements kv.Scanner. After the last pair of a batch it waits for the next round, which
// alone shows whether another pair follows.
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

// copy fills one round after another from this node's own replica, until the end, an error, or
// Close.
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

// confirm checks copied rounds with the peers, and hands on what may be delivered.
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
			r.err = x.patiently(x.confirmSnapshot)
		}
		failed := r.err != nil // once it is handed on, the round belongs to the reader
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
