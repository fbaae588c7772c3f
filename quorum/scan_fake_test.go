package quorum

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"sync"
	"testing"

	"viakv/api/kv"
	"viakv/quorum/replica"
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
	return NewScans(s.nodes[self].Coordinator, copies{s, self})
}

func (s *scanMesh) level(i int) uint {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.levels[i]
}

var digestSeed = maphash.MakeSeed()

// ranks of keys: hashing them again and again would be most of what these tests do.
var ranks sync.Map

func rankOf(key string) keyspace.Rank {
	if r, ok := ranks.Load(key); ok {
		return r.(keyspace.Rank)
	}
	r := keyspace.Seed{1}.Hash([]byte(key)).Rank()
	ranks.Store(key, r)
	return r
}

func digestOf(key string, rec *version.Record) replica.Digest {
	h := maphash.String(digestSeed, fmt.Sprint(key, rec.Tag, rec.Owner))
	return replica.Digest{Records: 1, Sum: [2]uint64{h, h >> 3}}
}

func (r *fakeReplica) bucket(e version.Epoch, rg keyspace.Range, b *Bucket) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.at(e) != nil {
		return replica.ErrEpoch
	}
	b.Range, b.Digest, b.Records = rg, replica.Digest{}, b.Records[:0]
	for k, rec := range r.records {
		rank := rankOf(k)
		if !rg.Contains(rank) {
			continue
		}
		c := rec.Clone()
		if rec.Value != nil && c.Value == nil {
			c.Value = []byte{}
		}
		b.Records = append(b.Records, replica.Entry{Rank: rank, Key: []byte(k), Record: c})
		b.Digest = b.Digest.Add(digestOf(k, &rec))
	}
	slices.SortFunc(b.Records, func(a, c replica.Entry) int {
		return cmp.Or(cmp.Compare(a.Rank, c.Rank), cmp.Compare(string(a.Key), string(c.Key)))
	})
	return nil
}

func (c copies) Own(v *View, at keyspace.Rank, b *Bucket) error {
	c.hook("own", c.self)
	level := c.s.level(c.self)
	return c.s.replicas[c.self].bucket(v.Epoch, at.Partition().Bucket(level, at.Index(level)), b)
}

// Live and Unpack: Own has set the records already.
func (c copies) Live(_ *View, b *Bucket, dst []kv.Pair) []kv.Pair {
	for i := range b.Records {
		if r := &b.Records[i]; r.Record.Live() {
			dst = append(dst, kv.Pair{Key: r.Key, Value: r.Record.Value, Version: r.Record.Tag})
		}
	}
	return dst
}

func (c copies) Unpack(*View, *Bucket) {}

func (c copies) hook(op string, m int) {
	if c.s.before != nil {
		c.s.before(op, m)
	}
}

// digests goes over the records once, whatever the number of ranges, which ascend.
func (c copies) digests(v *View, m int, ranges []keyspace.Range, dst []replica.Digest) ([]replica.Digest, error) {
	first := len(dst)
	dst = append(dst, make([]replica.Digest, len(ranges))...)
	r := c.s.replicas[m]
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.at(v.Epoch) != nil {
		return nil, replica.ErrEpoch
	}
	for k, rec := range r.records {
		rank := rankOf(k)
		i, ok := slices.BinarySearchFunc(ranges, rank, func(a keyspace.Range, rank keyspace.Rank) int { return cmp.Compare(a.From, rank) })
		if !ok {
			i--
		}
		if i >= 0 && ranges[i].Contains(rank) {
			dst[first+i] = dst[first+i].Add(digestOf(k, &rec))
		}
	}
	return dst, nil
}

func (c copies) OwnDigests(v *View, ranges []keyspace.Range, dst []replica.Digest) ([]replica.Digest, error) {
	return c.digests(v, c.self, ranges, dst)
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

func (c copies) Digests(ctx context.Context, v *View, m int, ranges []keyspace.Range, dst []replica.Digest) ([]replica.Digest, error) {
	if len(ranges) > MaxScanRanges {
		return nil, errors.New("too many ranges")
	}
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

func (c copies) Copy(_ context.Context, v *View, m int, r keyspace.Range, b *Bucket) error {
	if err := c.reach(m); err != nil {
		return err
	}
	c.hook("copy", m)
	return c.s.replicas[m].bucket(v.Epoch, r, b)
}

var authority = struct {
	cluster uint64
	key     [16]byte
}{77, [16]byte{1, 2, 3}}

func (c copies) Authority(*View) (uint64, [16]byte) { return authority.cluster, authority.key }

// put writes straight into the given replicas, as a write that reached only these.
func (s *scanMesh) put(key string, rec version.Record, replicas ...int) {
	for _, i := range replicas {
		r := s.replicas[i]
		r.mu.Lock()
		r.records[key] = version.Merge(r.records[key], rec)
		r.mu.Unlock()
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
