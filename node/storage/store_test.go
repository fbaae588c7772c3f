package storage

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"viakv/node/storage/extent"
	"viakv/node/storage/packed"
	"viakv/quorum/version"
	"viakv/ring/keyspace"
)

func open(t testing.TB, cfg Config) *Store {
	t.Helper()
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func put(t testing.TB, s *Store, key string, rec version.Record) bool {
	t.Helper()
	p := s.shard(testSeed.Hash([]byte(key)))
	changed, err := s.Put(p.epoch, testSeed.Hash([]byte(key)), []byte(key), &rec)
	if err != nil {
		t.Fatalf("put %q: %v", key, err)
	}
	return changed
}

func live(counter uint64, value string) version.Record {
	return version.Record{Tag: version.Tag{Counter: counter, Incarnation: 1}, Value: []byte(value)}
}

func dead(counter uint64, owner version.Incarnation) version.Record {
	return version.Record{
		Tag:   version.Tag{Counter: counter, Incarnation: 1, Removed: true},
		Owner: version.Operation{Incarnation: owner, Sequence: 1},
	}
}

func purgeOf(key string, r version.Record) Tombstone {
	return Tombstone{testSeed.Hash([]byte(key)), []byte(key), r.Tag, r.Owner}
}

func TestHeadersAreAsLongAsTheBooksSay(t *testing.T) {
	if unsafe.Sizeof(bucket{}) != bucketBytes {
		t.Fatalf("a bucket header has %d bytes", unsafe.Sizeof(bucket{}))
	}
	if unsafe.Sizeof(chunk{}) != linkBytes {
		t.Fatalf("a link has %d bytes", unsafe.Sizeof(chunk{}))
	}
	if extent.MaxBytes < packed.MaxBytes {
		t.Fatal("the longest block does not fit an extent's largest class")
	}
}

func TestConfigIsChecked(t *testing.T) {
	if _, err := New(Config{MaxBytes: -1}); err == nil || !strings.Contains(err.Error(), "memory limit") {
		t.Fatalf("a negative limit: %v", err)
	}
}

func TestSizesOutOfBoundsAreRefusedAndNothingIsStored(t *testing.T) {
	s := open(t, testConfig)
	good := live(1, "v")
	long := good
	long.Value = make([]byte, packed.MaxValueBytes+1)
	crammed := good
	crammed.Vector = make(version.Vector, version.MaxVectorBytes+1)
	for name, c := range map[string]struct {
		key string
		rec version.Record
	}{
		"no key":      {"", good},
		"a long key":  {strings.Repeat("k", packed.MaxKeyBytes+1), good},
		"a value":     {"k", long},
		"long vector": {"k", crammed},
	} {
		h := testSeed.Hash([]byte(c.key))
		if _, err := s.Put(0, h, []byte(c.key), &c.rec); !errors.Is(err, ErrSize) {
			t.Errorf("%s: put: %v", name, err)
		}
		c.rec.Tag.Removed = true
		c.rec.Owner = version.Operation{Incarnation: 1}
		if _, err := s.Vote(0, h, []byte(c.key), &c.rec); !errors.Is(err, ErrSize) {
			t.Errorf("%s: vote: %v", name, err)
		}
	}
	if d := s.Root(); d != (Digest{}) {
		t.Fatalf("the store holds %v", d)
	}
	largest := live(1, strings.Repeat("v", packed.MaxValueBytes))
	largest.Vector = make(version.Vector, version.MaxVectorBytes)
	largest.Tag.Counter = ^uint64(0)
	key := strings.Repeat("k", packed.MaxKeyBytes)
	for range 2 {
		if !put(t, s, key, largest) {
			t.Fatal("the largest record is not stored")
		}
		largest.Tag.Incarnation++
	}
	verify(t, s)
}

// Sizes drift and half of the keys go: what is left does not keep the extents of what was (tidy).
func TestDriftingSizesLeaveNoHoles(t *testing.T) {
	s := open(t, testConfig)
	const n = 100_000
	r := rand.New(rand.NewPCG(8, 8))
	value := strings.Repeat("v", 400)
	for round := range uint64(2) {
		for i := range n {
			put(t, s, fmt.Sprintf("k%d", i), live(round+1, value[:20+r.IntN(160)]))
		}
	}
	for i := range n {
		key := fmt.Sprintf("k%d", i)
		if i%2 == 0 {
			put(t, s, key, dead(9, 1))
			purgeOne(s, key, dead(9, 1))
		} else {
			put(t, s, key, live(9, value[:150+r.IntN(100)]))
		}
	}
	st := s.Stats()
	if st.Bytes > st.DataBytes*3/2 || st.Extents.Blocks > st.UsedBytes*6/5 {
		t.Fatalf("%.2f bytes for a byte of data, %.2f for a byte of blocks: %+v", float64(st.Bytes)/float64(st.DataBytes), float64(st.Bytes)/float64(st.Extents.Blocks), st)
	}
	verify(t, s)
}

// Two nodes whose tables have grown and shrunk in different ways compare any range.
func TestDigestsDoNotDependOnTheTablesState(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	a := newStore(testConfig, 600)
	defer a.Close()
	b := newStore(testConfig, bucketTarget)
	defer b.Close()
	const n = 20_000
	order := r.Perm(n)
	for _, i := range order { // b was ten times as large, and has shrunk
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
			if da, db := a.Digest(x), b.Digest(x); da != db {
				t.Fatalf("%v: %v and %v", x, da, db)
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
	return st.Purge(slices.Values([]Tombstone{purgeOf(key, r)}))
}

// The digest tells apart whatever version.Merge does.
func TestDigestOfOneRecord(t *testing.T) {
	k := digestKey(testConfig.DigestKey)
	tag := version.Tag{Generation: 1, Counter: 2, Incarnation: 3}
	owner := version.Operation{Incarnation: 4, Sequence: 5}
	seen := map[[2]uint64]string{}
	note := func(name string, d Digest) {
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

// Nodes compare digests, so their definition is part of the protocol.
func TestDigestGolden(t *testing.T) {
	k := digestKey{0x0123456789abcdef, 0xfedcba9876543210}
	d := k.of(42, version.Tag{Generation: 1, Counter: 2, Incarnation: 3}, version.Contested).
		Add(k.of(43, version.Tag{Generation: 1, Counter: 7, Incarnation: 3, Removed: true}, version.Operation{Incarnation: 3, Sequence: 9}))
	const want = "2 records (1 tombstones) a2d4287c872f9883:7fa06441093d51a3"
	if d.String() != want {
		t.Fatalf("%v, want %v", d, want)
	}
	if d.Sub(d) != (Digest{}) {
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
	b.sum[1]++
	r, err := s.Check(at)
	var drift *DriftError
	if !errors.Is(err, ErrDrift) || !errors.As(err, &drift) || drift.Range != r || !r.Contains(at) {
		t.Fatalf("after the digest was changed: %v, %v", r, err)
	}
	if drift.Kept.Sum[1] != drift.Recounted.Sum[1]+1 || !strings.Contains(err.Error(), "rebuild this node") {
		t.Fatalf("%v", err)
	}
	b.sum[1]--
	if _, err := s.Check(at); err != nil {
		t.Fatal(err)
	}
}

func TestVote(t *testing.T) {
	const key = "k"
	h := testSeed.Hash([]byte(key))
	contested := dead(5, 0)
	contested.Owner = version.Contested
	for name, c := range map[string]struct {
		there     *version.Record
		tombstone version.Record
		voted     bool
		left      version.Record
	}{
		"absent":                {nil, dead(5, 1), true, dead(5, 1)},
		"the base":              {new(live(5, "v")), dead(5, 1), true, dead(5, 1)},
		"older than the base":   {new(live(4, "v")), dead(5, 1), true, dead(5, 1)},
		"an older tombstone":    {new(dead(4, 9)), dead(5, 1), true, dead(5, 1)},
		"again":                 {new(dead(5, 1)), dead(5, 1), true, dead(5, 1)},
		"another's":             {new(dead(5, 2)), dead(5, 1), false, dead(5, 2)},
		"contested":             {&contested, dead(5, 1), false, contested},
		"newer":                 {new(live(6, "v")), dead(5, 1), false, live(6, "v")},
		"for nobody":            {new(live(5, "v")), contested, false, live(5, "v")},
		"for nobody, contested": {&contested, contested, false, contested},
		"not a tombstone":       {new(live(5, "v")), live(7, "x"), false, live(5, "v")},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, testConfig)
			if c.there != nil {
				put(t, s, key, *c.there)
			}
			voted, err := s.Vote(0, h, []byte(key), &c.tombstone)
			if err != nil || voted != c.voted {
				t.Fatalf("voted %v, %v", voted, err)
			}
			if got, _, _ := s.Get(0, h, []byte(key), nil); !same(got, c.left) {
				t.Fatalf("left %+v, want %+v", got, c.left)
			}
		})
	}
}

func TestLimitAndClear(t *testing.T) {
	cfg := testConfig
	cfg.MaxBytes = 24 << 20
	s := open(t, cfg)
	value := strings.Repeat("v", 1000)
	n := 0
	for ; !s.Full(); n++ {
		put(t, s, fmt.Sprintf("k%d", n), live(1, value))
	}
	if st := s.Stats(); st.Bytes < cfg.MaxBytes || st.Bytes > cfg.MaxBytes+extent.Bytes+1<<16 || st.DataBytes < cfg.MaxBytes/2 {
		t.Fatalf("full at %+v", st)
	}
	if put(t, s, "one more", live(1, value)); s.Stats().Keys != uint64(n+1) {
		t.Fatal("a full store lost an acknowledged record")
	}
	s.Advance(0, 1)
	if s.Full() || s.Root() != (Digest{}) {
		t.Fatalf("after a clear: full %v, %v", s.Full(), s.Root())
	}
	verify(t, s)
	if st := s.Stats(); st.Extents.InUse != 0 || st.Keys != 0 || st.Buckets != keyspace.Partitions {
		t.Fatalf("after a clear: %+v", st)
	}
	old := live(9, value)
	if _, err := s.Put(0, testSeed.Hash([]byte("k1")), []byte("k1"), &old); !errors.Is(err, ErrGeneration) {
		t.Fatalf("a record from before the clear: %v", err)
	}
	s.Advance(3, 0) // a late word of the generation before
	old.Tag.Generation = 1
	if _, err := s.Put(3, testSeed.Hash([]byte("k1")), []byte("k1"), &old); err != nil {
		t.Fatal(err)
	}
	if none := open(t, testConfig); none.Full() {
		t.Fatal("full without a limit")
	}
}

// Removing everything leaves neither blocks nor more headers than an empty store and its next growth need.
func TestEverythingIsGivenBack(t *testing.T) {
	s := newStore(testConfig, 200) // many headers for few records
	defer s.Close()
	var keys []string // of few partitions, so that these grow beyond a segment of headers
	for i := 0; len(keys) < 30_000; i++ {
		if key := fmt.Sprintf("k%d", i); testSeed.Hash([]byte(key)).Partition() < 8 {
			keys = append(keys, key)
		}
	}
	for _, key := range keys {
		put(t, s, key, dead(1, 1))
	}
	if st := s.Stats(); st.Books < 8*2*segmentBuckets*bucketBytes {
		t.Fatalf("%d buckets, %d bytes of headers: the test shows nothing", st.Buckets, st.Books)
	}
	for _, key := range keys {
		if purgeOne(s, key, dead(1, 1)) != 1 {
			t.Fatalf("%q was not purged", key)
		}
	}
	verify(t, s)
	if st := s.Stats(); st.Extents.InUse != 0 || st.Tombstones != 0 || st.Buckets != keyspace.Partitions ||
		st.Books > (8*segmentBuckets+keyspace.Partitions)*bucketBytes {
		t.Fatalf("%+v", st)
	}
}

// A bucket that cannot be split below the longest block is a chain: slow, and correct (S6).
func TestChains(t *testing.T) {
	s := newStore(testConfig, 1<<30) // never splits
	defer s.Close()
	keys := crowded(300)
	value := strings.Repeat("v", 900)
	for round := range 3 {
		for i, key := range keys {
			if !put(t, s, key, live(uint64(1+round), value[:900-i-round])) {
				t.Fatalf("round %d: %q was not stored", round, key)
			}
		}
		if st := s.Stats(); st.Chained < 5 || st.Keys != 300 {
			t.Fatalf("%+v", st)
		}
		verify(t, s)
	}
	// A record that no longer fits its block moves to another one.
	for i, key := range keys {
		if i%5 == 0 {
			put(t, s, key, live(9, strings.Repeat("w", 2000)))
		}
	}
	verify(t, s)
	var b Bucket
	s.Copy(testSeed.Hash([]byte(keys[0])).Rank(), &b)
	b.Sort()
	n := 0
	for e := range b.Records {
		if want := 2000; e.Record.Tag.Counter == 9 && len(e.Record.Value) != want {
			t.Fatalf("%q has %d bytes", e.Key, len(e.Record.Value))
		}
		n++
	}
	if n != 300 {
		t.Fatalf("the copy has %d entries", n)
	}
	s.space.target = 1000 // from now on it splits, chains and all
	put(t, s, keys[0], live(10, "v"))
	for range 200 {
		put(t, s, keys[1], live(10+s.Stats().Buckets, "v"))
	}
	verify(t, s)
	s.space.target = 1 << 30 // and merges again, into chains
	for i, key := range keys {
		put(t, s, key, dead(1000, 1))
		verifyEvery(t, s, i, 50)
	}
	var list []Tombstone
	for _, key := range keys {
		list = append(list, purgeOf(key, dead(1000, 1)))
	}
	if got := s.Purge(slices.Values(list)); got != len(keys) {
		t.Fatalf("purged %d", got)
	}
	verify(t, s)
	if st := s.Stats(); st.Chained != 0 || st.Extents.InUse != 0 {
		t.Fatalf("%+v", st)
	}
}

// Blocks leave a chain from its head, its tail and its middle.
func TestChainsComeApartInAnyOrder(t *testing.T) {
	keys := crowded(300)
	for name, arrange := range map[string]func([]string){
		"first in, first out": func([]string) {},
		"last in, first out":  slices.Reverse[[]string],
		"the middle first":    func(k []string) { slices.Reverse(k[:len(k)*2/3]) },
		"shuffled": func(k []string) {
			r := rand.New(rand.NewPCG(3, 4))
			r.Shuffle(len(k), func(i, j int) { k[i], k[j] = k[j], k[i] })
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(testConfig, 1<<30)
			defer s.Close()
			rec := dead(1, 1)
			rec.Vector = make(version.Vector, version.MaxVectorBytes)
			for _, key := range keys {
				put(t, s, key, rec)
			}
			if st := s.Stats(); st.Chained < 3 {
				t.Fatalf("%+v", st)
			}
			order := slices.Clone(keys)
			arrange(order)
			s.space.target = 0 // keeps the table from merging, which would rebuild the chain
			for i, key := range order {
				if purgeOne(s, key, rec) != 1 {
					t.Fatalf("%q was not purged", key)
				}
				verifyEvery(t, s, i, 80)
			}
			verify(t, s)
			if st := s.Stats(); st.Chained != 0 || st.Extents.InUse != 0 {
				t.Fatalf("%+v", st)
			}
		})
	}
}

func verifyEvery(t *testing.T, s *Store, i, n int) {
	if i%n == 0 {
		verify(t, s)
	}
}

func TestBudgets(t *testing.T) {
	s := open(t, testConfig)
	for i := range 5000 {
		put(t, s, fmt.Sprintf("k%d", i), live(1, "some value of some length"))
	}
	key := []byte("k123")
	h := testSeed.Hash(key)
	dst := make([]byte, 0, 2048)
	rec := live(2, "some value of some length")
	tombstone := version.Record{Owner: version.Operation{Incarnation: 1, Sequence: 1}}
	var b Bucket
	s.Copy(h.Rank(), &b)
	b.Sort()
	for name, f := range map[string]func(){
		"get":    func() { _, _, _ = s.Get(0, h, key, dst) },
		"tag":    func() { _, _, _ = s.Tag(0, h, key, dst) },
		"put":    func() { rec.Tag.Counter++; _, _ = s.Put(0, h, key, &rec) },
		"resize": func() { rec.Tag.Counter++; rec.Value = dst[:rec.Tag.Counter%500]; _, _ = s.Put(0, h, key, &rec) },
		"vote": func() {
			tombstone.Tag = rec.Tag.Tombstone()
			_, _ = s.Vote(0, h, key, &tombstone)
			rec.Tag.Counter++
		},
		"digest":    func() { _ = s.Digest(keyspace.Range{From: h.Rank(), To: h.Rank() + 1<<54}) },
		"root":      func() { _ = s.Root() },
		"check":     func() { _, _ = s.Check(h.Rank()) },
		"stats":     func() { _ = s.Stats() },
		"copy":      func() { s.Copy(h.Rank(), &b) },
		"sort":      func() { b.Sort() },
		"records":   func() { b.Records(func(Entry) bool { return true }) },
		"pairs":     func() { b.Pairs(0, func(_, _ []byte) bool { return true }) },
		"advance":   func() { s.Advance(0, 0) },
		"put stale": func() { _, _ = s.Put(9, h, key, &rec) },
	} {
		if n := testing.AllocsPerRun(200, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// Inserts allocate on the Go heap for headers alone.
func TestInsertsBarelyTouchTheHeap(t *testing.T) {
	s := open(t, testConfig)
	i := 0
	rec := live(1, "some value of some length")
	key := make([]byte, 0, 20)
	n := testing.AllocsPerRun(50_000, func() {
		i++
		key = fmt.Appendf(key[:0], "k%d", i)
		_, _ = s.Put(0, testSeed.Hash(key), key, &rec)
	})
	if n > 1 { // the formatting of the number
		t.Fatalf("%v allocations an insert", n)
	}
}

func TestPairsAndRecordsStopWhenTold(t *testing.T) {
	s := open(t, testConfig)
	for i := range 20_000 {
		put(t, s, fmt.Sprintf("k%d", i), live(1, "v"))
	}
	var b Bucket
	s.Copy(0, &b)
	if b.Len() < 3 {
		t.Fatalf("%d entries", b.Len())
	}
	for _, sorted := range []bool{false, true} {
		n := 0
		for range b.Records {
			if n++; n == 2 {
				break
			}
		}
		if n != 2 {
			t.Fatalf("sorted %v: %d records after a stop at two", sorted, n)
		}
		b.Sort()
	}
	n := 0
	b.Pairs(0, func(_, _ []byte) bool { n++; return false })
	if n != 1 {
		t.Fatalf("%d pairs after a stop at one", n)
	}
	// A walk that comes from the middle of a bucket sees the rest alone.
	b.Sort()
	var middle keyspace.Rank
	i := 0
	for e := range b.Records {
		if i++; i == 3 {
			middle = e.Rank
		}
	}
	n = 0
	b.Pairs(middle, func(_, _ []byte) bool { n++; return true })
	if n != b.Len()-2 {
		t.Fatalf("%d pairs from the third of %d", n, b.Len())
	}
}
