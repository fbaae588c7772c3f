package storage

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"viakv/quorum/replica"
	"viakv/quorum/version"
	"viakv/ring/keyspace"
)

// Two nodes whose tables have grown and shrunk in different ways can compare any range.
func TestDigestsDoNotDependOnTheTablesState(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	a := newStore(testConfig, 600)
	defer a.Close()
	b := newStore(testConfig, bucketTarget)
	defer b.Close()
	const n = 20_000
	order := r.Perm(n)
	for _, i := range order { // b held three times as many records, and has shrunk
		for j := range 3 {
			put(t, b, fmt.Sprintf("gone-%d-%d", i, j), dead(1, 2))
		}
	}
	for i := range n {
		if i%2 == 0 {
			put(t, a, fmt.Sprintf("k%d", i), live(1, "an older value of another length"))
		}
		put(t, a, fmt.Sprintf("k%d", i), live(uint64(i+2), "v"))
	}
	for _, i := range order {
		put(t, b, fmt.Sprintf("k%d", i), live(uint64(i+2), "v"))
		for j := range 3 {
			if purgeOne(b, fmt.Sprintf("gone-%d-%d", i, j), dead(1, 2)) != 1 {
				t.Fatal("a tombstone is gone before its purge")
			}
		}
	}
	if a.Stats().Buckets == b.Stats().Buckets {
		t.Fatalf("both have %d buckets: the test shows nothing", a.Stats().Buckets)
	}
	if a.Root() != b.Root() || a.Root().Records != n {
		t.Fatalf("roots %v and %v", a.Root(), b.Root())
	}
	for range 2000 {
		from := keyspace.Rank(r.Uint64())
		ranges := []keyspace.Range{
			{From: from, To: from + keyspace.Rank(r.Uint64N(1<<55)) + 1},
			from.Partition().Bucket(uint(r.IntN(12)), r.Uint64N(1)),
			{From: from, To: keyspace.Rank(r.Uint64())},
		}
		for _, x := range ranges {
			if x.Empty() {
				continue
			}
			da, erra := a.Digest(0, x)
			db, errb := b.Digest(0, x)
			if da != db || erra != nil || errb != nil {
				t.Fatalf("%v: %v (%v) and %v (%v)", x, da, erra, db, errb)
			}
		}
	}
	put(t, a, "k5", live(n+5, "v"))
	if a.Root() == b.Root() {
		t.Fatal("another version of one key leaves the root as it was")
	}
	verify(t, a)
	verify(t, b)
}

func purgeOne(st *Store, key string, r version.Record) int {
	n, _ := st.Purge(0, []replica.Tombstone{purgeOf(key, r)})
	return n
}

// The digest tells apart all records that version.Merge tells apart.
func TestDigestOfOneRecord(t *testing.T) {
	k := digestKey(testConfig.DigestKey)
	tag := version.Tag{Generation: 1, Counter: 2, Incarnation: 3}
	owner := version.Operation{Incarnation: 4, Sequence: 5}
	seen := map[[2]uint64]string{}
	note := func(name string, d replica.Digest) {
		t.Helper()
		if before, ok := seen[d.Sum]; ok {
			t.Errorf("%s and %s have the same sums", name, before)
		}
		for i := range d.Sum {
			if d.Sum[i] == 0 {
				t.Errorf("%s: a sum of zero", name)
			}
		}
		seen[d.Sum] = name
	}
	note("live", k.of(1, tag, version.Contested))
	note("other key", k.of(2, tag, version.Contested))
	for name, change := range map[string]func(*version.Tag){
		"generation":  func(t *version.Tag) { t.Generation++ },
		"counter":     func(t *version.Tag) { t.Counter++ },
		"incarnation": func(t *version.Tag) { t.Incarnation++ },
		"swapped":     func(t *version.Tag) { t.Counter, t.Incarnation = 3, 2 },
	} {
		other := tag
		change(&other)
		note(name, k.of(1, other, version.Contested))
	}
	note("tombstone", k.of(1, tag.Tombstone(), owner))
	note("contested", k.of(1, tag.Tombstone(), version.Contested))
	note("other sequence", k.of(1, tag.Tombstone(), version.Operation{Incarnation: 4, Sequence: 6}))
	note("other owner", k.of(1, tag.Tombstone(), version.Operation{Incarnation: 5, Sequence: 5}))
	note("other secret", digestKey{11, 14}.of(1, tag, version.Contested))
	note("other secret too", digestKey{12, 13}.of(1, tag, version.Contested))
	if k.of(1, tag, owner) != k.of(1, tag, version.Contested) {
		t.Error("the owner of a live record, which is not stored, enters its digest")
	}
}

// Nodes compare digests, so the definition of the digest is part of the protocol.
func TestDigestGolden(t *testing.T) {
	k := digestKey{0x0123456789abcdef, 0xfedcba9876543210}
	d := k.of(42, version.Tag{Generation: 1, Counter: 2, Incarnation: 3}, version.Contested).
		Add(k.of(43, version.Tag{Generation: 1, Counter: 7, Incarnation: 3, Removed: true}, version.Operation{Incarnation: 3, Sequence: 9}))
	const want = "2 records (1 tombstones) a2d4287c872f9883:7fa06441093d51a3"
	if d.String() != want {
		t.Fatalf("%v, want %v", d, want)
	}
	if d.Sub(d) != (replica.Digest{}) {
		t.Fatalf("%v less itself is %v", d, d.Sub(d))
	}
}

func TestCheckTellsDrift(t *testing.T) {
	s := open(t, testConfig)
	for i := range 2000 {
		put(t, s, fmt.Sprintf("k%d", i), live(1, "some value"))
	}
	at := testSeed.Hash([]byte("k77")).Rank()
	if _, err := s.Check(at); err != nil {
		t.Fatalf("a sound store: %v", err)
	}
	b, _ := s.shards[at.Partition()].table.at(at)
	right := b.digest()
	b.sum[1]++
	r, err := s.Check(at)
	if !errors.Is(err, errDrift) || !r.Contains(at) {
		t.Fatalf("after the digest was changed: %v, %v", r, err)
	}
	if want := fmt.Sprintf("%v: %v holds %v, its digest says %v; rebuild this node", errDrift, r, right, b.digest()); !strings.HasPrefix(err.Error(), want) {
		t.Fatalf("%v, want %s", err, want)
	}
	b.sum[1]--
	if _, err := s.Check(at); err != nil {
		t.Fatal(err)
	}
}
