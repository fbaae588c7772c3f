package quorum

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"viakv/api/kv"
	"viakv/quorum/replica"
	"viakv/quorum/replica/replicatest"
	"viakv/quorum/version"
	"viakv/ring/keyspace"
)

// scanMesh gives the mesh's replicas buckets. Each replica splits its partitions as deep as its
// level says, and the level may change at any time.
type scanMesh struct {
	*mesh
	mu     sync.Mutex
	levels []uint
	asked  map[int]int // digest requests by member
	dead   map[int]bool
	hangs  int                         // member that never answers; 0: none
	stuck  bool                        // copies do not go on behind their first page
	before func(op string, member int) // runs before an answer is made
}

func newScanMesh(t testing.TB, n int) *scanMesh {
	s := &scanMesh{mesh: newMesh(t, n), levels: make([]uint, n), asked: map[int]int{}, dead: map[int]bool{}}
	for i := range s.levels {
		s.levels[i] = uint(i % 3)
	}
	return s
}

// copies is a node's way to its own and the others' buckets.
type copies struct {
	s    *scanMesh
	self int
}

func (s *scanMesh) scans(self int) *Scans {
	c := copies{s, self}
	return NewScans(s.nodes[self].Coordinator, c, c)
}

func (s *scanMesh) level(i int) uint {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.levels[i]
}

// ranks of keys: hashing them again and again would be most of what these tests do.
var ranks sync.Map

func rankOf(key []byte) keyspace.Rank {
	if r, ok := ranks.Load(string(key)); ok {
		return r.(keyspace.Rank)
	}
	r := keyspace.Seed{1}.Hash(key).Rank()
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
	return bucket(c.s.replicas[c.self], v.Epoch, at.Partition().Bucket(level, at.Index(level)), b)
}

// Live and Unpack: Own has set the records already.
func (c copies) Live(b *Bucket, dst []kv.Pair) []kv.Pair {
	for i := range b.Records {
		if r := &b.Records[i]; r.Record.Live() {
			dst = append(dst, kv.Pair{Key: r.Key, Value: r.Record.Value, Version: r.Record.Tag})
		}
	}
	return dst
}

func (c copies) Unpack(*Bucket) {}

func (c copies) hook(op string, m int) {
	if c.s.before != nil {
		c.s.before(op, m)
	}
}

func (c copies) digests(v *replica.View, m int, ranges []keyspace.Range, dst []replica.Digest) ([]replica.Digest, error) {
	for _, r := range ranges {
		d, err := c.s.replicas[m].Digest(v.Epoch, r)
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
	if len(ranges) > MaxScanRanges {
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

// copiedAtOnce is how many bytes the tests' replicas answer a copy with: a few records.
const copiedAtOnce = 100

func (c copies) Copy(_ context.Context, v *replica.View, to *replica.Member, r keyspace.Range, after []byte, max int, p *replica.Page) error {
	m := c.of(v, to)
	if err := c.reach(m); err != nil {
		return err
	}
	c.hook("copy", m)
	err := c.s.replicas[m].Page(v.Epoch, r, after, min(max, copiedAtOnce), p)
	if c.s.stuck && !p.Next.Ends(r) {
		p.Next = keyspace.Place{Rank: r.From, Key: after}
	}
	return err
}

// of returns a member's index.
func (c copies) of(v *replica.View, to *replica.Member) int {
	return slices.IndexFunc(v.Members, func(m replica.Member) bool { return m.Name == to.Name })
}

// authority is what the tests' views carry for cursors.
var authority = struct {
	cluster uint64
	key     [16]byte
}{77, [16]byte{1, 2, 3}}

// put writes straight into the given replicas, as a write that reached only these.
func (s *scanMesh) put(key string, rec version.Record, replicas ...int) {
	for _, i := range replicas {
		s.replicas[i].Merge(key, rec)
	}
}

func written(counter uint64, value string) version.Record {
	return version.Record{Tag: version.Tag{Counter: counter, Incarnation: 9}, Value: []byte(value)}
}

func (s *scanMesh) fill(n int) {
	all := make([]int, len(s.replicas))
	for i := range all {
		all[i] = i
	}
	for i := range n {
		s.put(fmt.Sprintf("key-%04d", i), written(1, fmt.Sprintf("value-%d", i)), all...)
	}
}

// pair is what a scan delivered, owned by the test.
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

func (s *scanMesh) scan(self int, o kv.ScanOptions) kv.Scanner {
	s.t.Helper()
	sc, err := s.scans(self).Scan(context.Background(), o)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(sc.Close)
	return sc
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
