package scan

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"viakv/api/kv"
	"viakv/quorum"
	"viakv/quorum/lease"
	"viakv/quorum/replica"
	"viakv/quorum/replica/replicatest"
	"viakv/quorum/version"
	"viakv/ring/keyspace"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// mesh is a few replicas in memory, each with a coordinator over all of them. Each replica splits
// its partitions into buckets as deep as its level says. The level may change at any time.
type mesh struct {
	*replicatest.Cluster
	t     testing.TB
	nodes []*node

	mu     sync.Mutex
	levels []uint
	asked  map[int]int // digest requests by member
	dead   map[int]bool
	hangs  int                         // the member that never answers; 0: none
	stuck  bool                        // copies do not go on after their first page
	before func(op string, member int) // runs before an answer is made
}

// node is one coordinator. It implements Views, Peers and Hints for its coordinator.
type node struct {
	*quorum.Coordinator
	*replicatest.Views
	m       *mesh
	owes    [kv.MaxMembers]atomic.Bool // members that have an answer overdue
	timeout time.Duration              // of scans
}

func newMesh(t testing.TB, n int) *mesh {
	m := &mesh{t: t, Cluster: replicatest.NewCluster(n, rankOf), levels: make([]uint, n), asked: map[int]int{}, dead: map[int]bool{}}
	for i := range n {
		m.levels[i] = uint(i % 3)
		nd := &node{Views: m.Views[i], m: m, timeout: 2 * time.Second}
		nd.Current().Marks.Learn(writer, openFrom)
		nd.Coordinator = quorum.New(quorum.Config{Views: nd, Peers: nd, Hints: nd})
		m.nodes = append(m.nodes, nd)
	}
	return m
}

func (nd *node) Likely(*replica.View, int) bool           { return true }
func (nd *node) Answers(_ *replica.View, m int) bool      { return !nd.owes[m].Load() }
func (nd *node) Heard(*replica.View, int) time.Time       { return time.Time{} }
func (nd *node) Cancel(*quorum.Call) bool                 { return false }
func (nd *node) Close(*replica.View, int, lease.Name)     {}
func (nd *node) Miss(string, version.Incarnation, []byte) {}

// Start implements quorum.Peers for all kinds of calls but removes.
func (nd *node) Start(v *replica.View, c *quorum.Call) {
	c.Status, c.Err, c.NotSent, c.Reply, c.Full, c.Confirmed = quorum.OK, nil, false, version.Record{}, false, false
	rec, at := c.Records[0].Record.Clone(), slices.Clone(c.Records[0].Key)
	r, e, key := nd.m.Stores[c.Member], v.Epoch, slices.Clone(c.Key)
	go func() {
		var err error
		switch c.Kind {
		case quorum.ReadTag:
			c.Reply, _, err = r.Tag(e, 0, key, nil)
		case quorum.ReadRecord:
			c.Reply, _, err = r.Get(e, 0, key, nil)
		case quorum.Store:
			_, err = r.Put(e, 0, at, &rec)
		default:
			err = errors.New("scans do not remove")
		}
		if err != nil {
			c.Status = quorum.Stale
		}
		there := nd.m.nodes[c.Member].Current()
		v.Counter.Observe(there.Counter.Now())
		v.Marks.Learn(there.Me().Holder(), there.Counter.Mark())
		c.Confirmed = there.Confirmed(&c.Reply)
		c.End()
	}()
}

// copies gives a node its own buckets and those of other members.
type copies struct {
	s    *mesh
	self int
}

func (s *mesh) scans(self int) *Scans {
	nd := s.nodes[self]
	c := copies{s, self}
	return New(Config{Views: nd, Own: c, Peers: c, Reader: nd, Timeout: nd.timeout})
}

func (s *mesh) level(i int) uint {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.levels[i]
}

// ranks keeps the ranks of keys. Hashing the keys each time would take most of these tests' time.
var ranks sync.Map

func rankOf(key []byte) keyspace.Rank {
	if r, ok := ranks.Load(string(key)); ok {
		return r.(keyspace.Rank)
	}
	r := replicatest.Seed.Hash(key).Rank()
	ranks.Store(string(key), r)
	return r
}

// bucket fills b with what a replica holds in a range.
func bucket(r *replicatest.Store, e version.Epoch, rg keyspace.Range, b *Bucket) (err error) {
	b.Range = rg
	if b.Records, err = r.Entries(e, rg); err != nil {
		return err
	}
	b.Digest, err = r.Digest(e, rg)
	return err
}

func (c copies) Own(v *replica.View, at keyspace.Rank, b *Bucket) error {
	c.hook("own", c.self)
	level := c.s.level(c.self)
	return bucket(c.s.Stores[c.self], v.Epoch, at.Partition().Bucket(level, at.Index(level)), b)
}

// Live returns the records that Own has set. Unpack has nothing to do.
func (c copies) Live(v *replica.View, b *Bucket, dst []kv.Pair) (pairs []kv.Pair, confirmed bool) {
	confirmed = true
	for i := range b.Records {
		r := &b.Records[i]
		confirmed = confirmed && v.Confirmed(&r.Record)
		if r.Record.Live() {
			dst = append(dst, kv.Pair{Key: r.Key, Value: r.Record.Value, Version: r.Record.Tag})
		}
	}
	return dst, confirmed
}

func (c copies) Unpack(*Bucket) {}

func (c copies) hook(op string, m int) {
	if c.s.before != nil {
		c.s.before(op, m)
	}
}

func (c copies) digests(v *replica.View, m int, ranges []keyspace.Range, dst []replica.Digest) ([]replica.Digest, error) {
	for _, r := range ranges {
		d, err := c.s.Stores[m].Digest(v.Epoch, r)
		if err != nil {
			return nil, err
		}
		dst = append(dst, d)
	}
	return dst, nil
}

func (c copies) reach(m int) error {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if c.s.dead[m] {
		return errors.New("unreachable")
	}
	c.s.asked[m]++
	return nil
}

func (c copies) Digests(ctx context.Context, v *replica.View, to *replica.Member, ranges []keyspace.Range, dst []replica.Digest) ([]replica.Digest, error) {
	if len(ranges) > maxRanges {
		return nil, errors.New("too many ranges")
	}
	m := c.of(v, to)
	if err := c.reach(m); err != nil {
		return nil, err
	}
	if c.s.hangs == m && m != 0 {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	c.hook("digests", m)
	return c.digests(v, m, ranges, dst)
}

// copiedAtOnce is how many bytes the tests' replicas answer a copy with. It is enough for a few
// records.
const copiedAtOnce = 100

func (c copies) Copy(_ context.Context, v *replica.View, to *replica.Member, r keyspace.Range, after []byte, max int, p *replica.Page) error {
	m := c.of(v, to)
	if err := c.reach(m); err != nil {
		return err
	}
	c.hook("copy", m)
	err := c.s.Stores[m].Page(v.Epoch, r, after, min(max, copiedAtOnce), p)
	if c.s.stuck && !p.Next.Ends(r) {
		p.Next = keyspace.Place{Rank: r.From, Key: after}
	}
	return err
}

func (c copies) Answers(v *replica.View, m int) bool { return c.s.nodes[c.self].Answers(v, m) }

// of returns a member's index.
func (c copies) of(v *replica.View, to *replica.Member) int {
	return slices.IndexFunc(v.Members, func(m replica.Member) bool { return m.Name == to.Name })
}

// put merges a record into the given replicas, like a write that has reached only these.
func (s *mesh) put(key string, rec version.Record, replicas ...int) {
	for _, i := range replicas {
		s.Stores[i].Merge(key, rec)
	}
}

// clear makes all members go on to an epoch after a clear.
func (s *mesh) clear() {
	s.Advance(func(v *replica.View) { v.Generation = 1 }, 0, 1, 2)
}

// writer is the incarnation that has written the tests' records. It is gone. Its records are known
// to be complete at all members, but for those from the number openFrom on.
const (
	writer   = 9
	openFrom = 1 << 20
)

func written(counter uint64, value string) version.Record {
	return version.Record{Tag: version.Tag{Counter: counter, Incarnation: writer}, Value: []byte(value)}
}

// removed returns the tombstone that a remove with this number leaves of a value.
func removed(rec version.Record, number uint64) version.Record {
	return version.Record{Tag: rec.Tag.Tombstone(), Owner: version.Operation{Incarnation: writer, Sequence: number}}
}

func (s *mesh) fill(n int) {
	all := make([]int, len(s.Stores))
	for i := range all {
		all[i] = i
	}
	for i := range n {
		s.put(fmt.Sprintf("key-%04d", i), written(1, fmt.Sprintf("value-%d", i)), all...)
	}
}

// pair is what a scan has delivered. The test owns its memory.
type pair struct{ key, value string }

// drain reads a scan to its end.
func drain(t testing.TB, sc kv.Scanner) []pair {
	t.Helper()
	var out []pair
	var b kv.Batch
	for {
		ok, err := sc.Next(context.Background(), &b)
		if err != nil {
			t.Fatalf("after %d pairs: %v", len(out), err)
		}
		if !ok {
			return out
		}
		if len(b.Pairs) == 0 {
			t.Fatal("an empty batch")
		}
		for _, p := range b.Pairs {
			out = append(out, pair{string(p.Key), string(p.Value)})
		}
	}
}

func (s *mesh) scan(self int, o kv.ScanOptions) kv.Scanner {
	s.t.Helper()
	sc, err := s.scans(self).Scan(context.Background(), o)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(sc.Close)
	return sc
}

// next returns a scan's next batch, and fails the test when there is none.
func next(t testing.TB, sc kv.Scanner) *kv.Batch {
	t.Helper()
	var b kv.Batch
	if ok, err := sc.Next(context.Background(), &b); !ok || err != nil {
		t.Fatal(ok, err)
	}
	return &b
}

// wantEnd checks that a scan ends with an error, within the rounds that may be made ahead.
func wantEnd(t testing.TB, sc kv.Scanner, is func(error) bool) {
	t.Helper()
	var b kv.Batch
	for i := 0; ; i++ {
		ok, err := sc.Next(context.Background(), &b)
		if is(err) {
			break
		}
		if !ok || err != nil || i > 3 {
			t.Fatalf("round %d: %v %v", i, ok, err)
		}
	}
	if ok, err := sc.Next(context.Background(), &b); ok || err != nil {
		t.Errorf("after its error: %v %v", ok, err)
	}
}

// wantKeys checks that each of the n keys came once, and returns the values.
func wantKeys(t testing.TB, got []pair, n int) map[string]string {
	t.Helper()
	m := map[string]string{}
	for _, p := range got {
		if _, twice := m[p.key]; twice {
			t.Errorf("%s came twice", p.key)
		}
		m[p.key] = p.value
	}
	missing := 0
	for i := range n {
		if _, ok := m[fmt.Sprintf("key-%04d", i)]; !ok {
			missing++
		}
	}
	if missing > 0 {
		t.Errorf("%d of %d keys are missing", missing, n)
	}
	return m
}
