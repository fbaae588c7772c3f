package storage

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"unsafe"

	"viakv/node/storage/extent"
	"viakv/node/storage/packed"
	"viakv/quorum/replica"
	"viakv/quorum/version"
	"viakv/quorum/watermark"
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

// copyTo copies the bucket that holds a rank, at the epoch that its partition is at.
func copyTo(t testing.TB, s *Store, at keyspace.Rank, b *Bucket) {
	t.Helper()
	if err := s.Copy(s.shards[at.Partition()].epoch, at, b); err != nil {
		t.Fatal(err)
	}
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

func purgeOf(key string, r version.Record) replica.Tombstone {
	return replica.Tombstone{Key: []byte(key), Tag: r.Tag}
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
		if _, err := s.Put(0, h, []byte(c.key), &c.rec); !errors.Is(err, errSize) {
			t.Errorf("%s: put: %v", name, err)
		}
		c.rec.Tag.Removed = true
		c.rec.Owner = version.Operation{Incarnation: 1}
		if _, err := s.Vote(0, h, []byte(c.key), &c.rec); !errors.Is(err, errSize) {
			t.Errorf("%s: vote: %v", name, err)
		}
	}
	if d := s.Root(); d != (replica.Digest{}) {
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

// Sizes drift and half of the keys go. What is left must not keep the extents of what was there
// before (tidy).
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
		t.Fatalf("the store is full at %+v", st)
	}
	if put(t, s, "one more", live(1, value)); s.Stats().Keys != uint64(n+1) {
		t.Fatal("a full store lost an acknowledged record")
	}
	s.Advance(0, 1)
	if s.Full() || s.Root() != (replica.Digest{}) {
		t.Fatalf("after a clear: full %v, %v", s.Full(), s.Root())
	}
	verify(t, s)
	if st := s.Stats(); st.Extents.InUse != 0 || st.Keys != 0 || st.Buckets != keyspace.Partitions {
		t.Fatalf("after a clear: %+v", st)
	}
	old := live(9, value)
	if _, err := s.Put(0, testSeed.Hash([]byte("k1")), []byte("k1"), &old); !errors.Is(err, errGeneration) {
		t.Fatalf("a record from before the clear: %v", err)
	}
	s.Advance(3, 0) // a late call with the generation before
	old.Tag.Generation = 1
	if _, err := s.Put(3, testSeed.Hash([]byte("k1")), []byte("k1"), &old); err != nil {
		t.Fatal(err)
	}
	if none := open(t, testConfig); none.Full() {
		t.Fatal("full without a limit")
	}
}

// A store from which everything was removed keeps no blocks, and no more headers than an empty
// store and its next growth need.
func TestEverythingIsGivenBack(t *testing.T) {
	s := newStore(testConfig, 200) // many headers for few records
	defer s.Close()
	var keys []string // of few partitions, so that these grow beyond one segment of headers
	for i := 0; len(keys) < 30_000; i++ {
		if key := fmt.Sprintf("k%d", i); testSeed.Hash([]byte(key)).Partition() < 8 {
			keys = append(keys, key)
		}
	}
	for _, key := range keys {
		put(t, s, key, dead(1, 1))
	}
	if st := s.Stats(); st.HeaderBytes < 8*2*segmentBuckets*bucketBytes {
		t.Fatalf("%d buckets, %d bytes of headers: the test shows nothing", st.Buckets, st.HeaderBytes)
	}
	for _, key := range keys {
		if purgeOne(s, key, dead(1, 1)) != 1 {
			t.Fatalf("%q was not purged", key)
		}
	}
	verify(t, s)
	if st := s.Stats(); st.Extents.InUse != 0 || st.Tombstones != 0 || st.Buckets != keyspace.Partitions ||
		st.HeaderBytes > (8*segmentBuckets+keyspace.Partitions)*bucketBytes {
		t.Fatalf("%+v", st)
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
	copyTo(t, s, h.Rank(), &b)
	b.sort(every)
	v := &replica.View{Self: -1, Counter: new(watermark.Counter), Marks: new(watermark.Marks)}
	v.Marks.Learn(rec.Tag.Incarnation, rec.Tag.Counter)
	pairs, confirmed := b.AppendLive(v, nil)
	if len(pairs) == 0 || !confirmed {
		t.Fatalf("%d pairs, confirmed: %v", len(pairs), confirmed)
	}
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
		"digest":    func() { _, _ = s.Digest(0, keyspace.Range{From: h.Rank(), To: h.Rank() + 1<<54}) },
		"root":      func() { _ = s.Root() },
		"check":     func() { _, _ = s.Check(h.Rank()) },
		"stats":     func() { _ = s.Stats() },
		"copy":      func() { _ = s.Copy(0, h.Rank(), &b) },
		"sort":      func() { b.sort(every) },
		"pairs":     func() { pairs, _ = b.AppendLive(v, pairs[:0]) },
		"entries":   func() { b.entries(func(replica.Entry) bool { return true }) },
		"advance":   func() { s.Advance(0, 0) },
		"put stale": func() { _, _ = s.Put(9, h, key, &rec) },
	} {
		if n := testing.AllocsPerRun(200, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// Inserts allocate headers on the Go heap, and nothing else.
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
	if n > 1 { // the formatting of the number allocates once
		t.Fatalf("%v allocations an insert", n)
	}
}

func TestAClosedStoreRefuses(t *testing.T) {
	s, err := New(testConfig)
	if err != nil {
		t.Fatal(err)
	}
	put(t, s, "k", live(1, "v"))
	s.Close()
	h, rec := testSeed.Hash([]byte("k")), live(2, "w")
	var b Bucket
	for name, err := range map[string]error{
		"copy":   s.Copy(0, h.Rank(), &b),
		"digest": second(s.Digest(0, keyspace.All())),
		"put":    second(s.Put(0, h, []byte("k"), &rec)),
	} {
		if !errors.Is(err, replica.ErrEpoch) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(b.data) != 0 || b.Digest != (replica.Digest{}) {
		t.Errorf("%d bytes were copied", len(b.data))
	}
}

func second[T any](_ T, err error) error { return err }

func TestEntriesStopWhenTold(t *testing.T) {
	s := open(t, testConfig)
	for i := range 20_000 {
		put(t, s, fmt.Sprintf("k%d", i), live(1, "v"))
	}
	var b Bucket
	copyTo(t, s, 0, &b)
	if b.Digest.Records < 3 {
		t.Fatalf("%d entries", b.Digest.Records)
	}
	n := 0
	for range b.entries {
		if n++; n == 2 {
			break
		}
	}
	if n != 2 {
		t.Fatalf("%d entries after a stop at two", n)
	}
}
