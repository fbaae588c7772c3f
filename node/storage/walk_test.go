package storage

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"viakv/api/kv"
	"viakv/quorum/replica"
	"viakv/quorum/version"
	"viakv/quorum/watermark"
	"viakv/ring/keyspace"
	"viakv/ring/keyspace/keyspacetest"
)

// entries returns, in order, what the model holds in a range behind the key after at its first
// rank.
func (m *model) entries(r keyspace.Range, after []byte) (list []replica.Entry) {
	for key, rec := range m.records {
		if rank := testSeed.Hash([]byte(key)).Rank(); r.Contains(rank) && (rank > r.From || key > string(after)) {
			list = append(list, replica.Entry{Rank: rank, Key: []byte(key), Record: rec})
		}
	}
	slices.SortFunc(list, func(a, b replica.Entry) int {
		return cmp.Or(cmp.Compare(a.Rank, b.Rank), bytes.Compare(a.Key, b.Key))
	})
	return list
}

func sameEntry(a, b replica.Entry) bool {
	return a.Rank == b.Rank && bytes.Equal(a.Key, b.Key) && same(a.Record, b.Record)
}

// pagesOf reads a range page by page, and checks that the pages together are what the model holds.
// Each entry is there once, and in order. No page exceeds its bound by more than its last entry.
func pagesOf(t rapid.TB, s *Store, m *model, r keyspace.Range, after []byte, max int) {
	want := m.entries(r, after)
	var page replica.Page
	for at := (keyspace.Place{Rank: r.From, Key: after}); ; {
		rest := keyspace.Range{From: at.Rank, To: r.To}
		if err := s.Page(m.epoch, rest, at.Key, max, &page); err != nil {
			t.Fatalf("page of %v: %v", rest, err)
		}
		size := 0
		for i, e := range page.Entries {
			if len(want) == 0 || !sameEntry(e, want[0]) {
				t.Fatalf("entry %d of a page from %x %q: %x %q, %+v; want %+v", i, at.Rank, at.Key, e.Rank, e.Key, e.Record, want[:min(1, len(want))])
			}
			want = want[1:]
			if size >= max {
				t.Fatalf("an entry more than %d bytes, behind %d", max, size)
			}
			size += len(e.Key) + len(e.Record.Value) + len(e.Record.Vector)
		}
		next := keyspace.Place{Rank: page.Next.Rank, Key: bytes.Clone(page.Next.Key)}
		if next.Ends(r) {
			break
		}
		if len(page.Entries) == 0 && size < max || !next.Beyond(at, r) {
			t.Fatalf("a page of %d entries from %x %q goes on at %x %q", len(page.Entries), at.Rank, at.Key, next.Rank, next.Key)
		}
		at = next
	}
	if len(want) > 0 {
		t.Fatalf("%d entries of %v are on no page, %q the first", len(want), r, want[0].Key)
	}
}

// tombstonesOf collects all tombstones in lists of at most max, checks them against the model, and
// returns the number of lists.
func tombstonesOf(t rapid.TB, s *Store, m *model, max int) (lists int) {
	want := slices.DeleteFunc(m.entries(keyspace.All(), nil), func(e replica.Entry) bool { return !e.Record.Tag.Removed })
	for at := (keyspace.Place{}); ; {
		list, next, err := s.Tombstones(m.epoch, at, max, nil)
		if err != nil || len(list) > max || len(list) > len(want) {
			t.Fatalf("%d tombstones, at most %d, of %d: %v", len(list), max, len(want), err)
		}
		size := 0
		for i, e := range list {
			if !bytes.Equal(e.Key, want[i].Key) || e.Tag != want[i].Record.Tag {
				t.Fatalf("tombstone %q of %v, want %q of %v", e.Key, e.Tag, want[i].Key, want[i].Record.Tag)
			}
			if size >= replica.MaxListBytes {
				t.Fatalf("a tombstone behind %d bytes", size)
			}
			size += e.Size()
		}
		lists, want = lists+1, want[len(list):]
		if next.IsZero() {
			break
		}
		if !next.Beyond(at, keyspace.All()) {
			t.Fatalf("a list from %+v goes on at %+v", at, next)
		}
		at = next
	}
	if len(want) > 0 {
		t.Fatalf("%d tombstones are on no list, %q the first", len(want), want[0].Key)
	}
	return lists
}

// page reads a range in pages of some length. The range may begin behind a key.
func (x *machine) page(t *rapid.T) {
	r := drawRange(t)
	if r.Empty() {
		return
	}
	var after []byte
	if key := x.drawKey(t); rapid.Bool().Draw(t, "after") {
		if rank := testSeed.Hash(key).Rank(); r.Contains(rank) {
			r.From, after = rank, key
		}
	}
	pagesOf(t, x.s, &x.m, r, after, rapid.SampledFrom([]int{1, 100, 5000, math.MaxInt}).Draw(t, "max"))
}

func (x *machine) tombstones(t *rapid.T) {
	tombstonesOf(t, x.s, &x.m, rapid.SampledFrom([]int{1, 5, math.MaxInt}).Draw(t, "max"))
}

// pairs copies one bucket as a scan does, and checks its values in order, and all of its records.
// It also checks whether all of them are confirmed.
func (x *machine) pairs(t *rapid.T) {
	var b Bucket
	if err := x.s.Copy(x.m.epoch, drawRank(t, "at"), &b); err != nil {
		t.Fatal(err)
	}
	want := x.m.entries(b.Range, nil)
	first := kv.Pair{Key: []byte("what is there stays")}
	v := &replica.View{Self: -1, Counter: new(watermark.Counter), Marks: new(watermark.Marks)}
	for i := range version.Incarnation(2) {
		v.Marks.Learn(i+1, rapid.Uint64Range(0, 8).Draw(t, "watermark"))
	}
	pairs, confirmed := b.AppendLive(v, []kv.Pair{first})
	if open := slices.ContainsFunc(want, func(e replica.Entry) bool { return !v.Confirmed(&e.Record) }); confirmed == open {
		t.Fatalf("all %d entries are confirmed: %v", len(want), confirmed)
	}
	if string(pairs[0].Key) != string(first.Key) {
		t.Fatalf("%q is the first pair", pairs[0].Key)
	}
	pairs = pairs[1:]
	for _, e := range want {
		if !e.Record.Live() {
			continue
		}
		if len(pairs) == 0 || !bytes.Equal(pairs[0].Key, e.Key) || !bytes.Equal(pairs[0].Value, e.Record.Value) || pairs[0].Version != e.Record.Tag {
			t.Fatalf("%q is not the next of %d pairs", e.Key, len(pairs))
		}
		pairs = pairs[1:]
	}
	if len(pairs) > 0 {
		t.Fatalf("%q is no pair of the bucket's", pairs[0].Key)
	}
	if got := b.AppendSorted(nil); !slices.EqualFunc(got, want, sameEntry) {
		t.Fatalf("%d sorted entries, want %d", len(got), len(want))
	}
}

// staleRange reads ranges at an epoch that is not the store's.
func (x *machine) staleRange(t rapid.TB, epoch version.Epoch) {
	at, err := x.s.Walk(epoch, keyspace.Range{From: 5}, []byte("k"), func(replica.Entry) bool { return true })
	if !errors.Is(err, replica.ErrEpoch) || at.Rank != 5 || string(at.Key) != "k" {
		t.Fatalf("walk at another epoch: %+v, %v", at, err)
	}
	var page replica.Page
	if err := x.s.Page(epoch, keyspace.All(), nil, 1000, &page); !errors.Is(err, replica.ErrEpoch) || len(page.Entries) > 0 {
		t.Fatalf("page at another epoch: %d entries, %v", len(page.Entries), err)
	}
	if list, _, err := x.s.Tombstones(epoch, keyspace.Place{}, 10, nil); !errors.Is(err, replica.ErrEpoch) || len(list) > 0 {
		t.Fatalf("tombstones at another epoch: %d, %v", len(list), err)
	}
}

// A walk that the end of an epoch cuts short tells how far it came, so that it can go on there.
func TestAWalkGoesOnAfterAnEpoch(t *testing.T) {
	s := open(t, testConfig)
	m := model{epoch: 1, records: map[string]version.Record{}}
	s.Advance(m.epoch, 0)
	for i := range 20_000 {
		key := fmt.Sprintf("key-%d", i)
		m.records[key] = live(1, "v")
		put(t, s, key, m.records[key])
	}
	var got []replica.Entry
	r := keyspace.All()
	at := keyspace.Place{}
	for cuts := 0; ; cuts++ {
		next, err := s.Walk(m.epoch, keyspace.Range{From: at.Rank}, at.Key, func(e replica.Entry) bool {
			got = append(got, replica.Entry{Rank: e.Rank, Key: bytes.Clone(e.Key), Record: e.Record.Clone()})
			if len(got)%7000 == 0 {
				s.Advance(m.epoch+1, 0)
			}
			return true
		})
		if err == nil && next.Ends(r) {
			if cuts < 2 {
				t.Errorf("cut %d times", cuts)
			}
			break
		}
		if !errors.Is(err, replica.ErrEpoch) || next.Rank <= at.Rank {
			t.Fatalf("%+v, %v", next, err)
		}
		at, m.epoch = next, m.epoch+1
	}
	if want := m.entries(r, nil); !slices.EqualFunc(got, want, sameEntry) {
		t.Errorf("%d entries, want %d", len(got), len(want))
	}
}

// A bucket that is merged while a walk goes on is copied together with entries that the walk has
// passed already.
func TestAWalkMeetsNoKeyTwice(t *testing.T) {
	s := newStore(testConfig, 300)
	t.Cleanup(s.Close)
	key := func(i int) string { return fmt.Sprintf("key-%d", i) }
	const keys = 20_000
	for i := range keys {
		put(t, s, key(i), live(1, "v"))
	}
	before := s.Stats().Buckets
	met := map[string]int{}
	var passed []replica.Tombstone
	next, err := s.Walk(0, keyspace.All(), nil, func(e replica.Entry) bool {
		k := string(e.Key)
		if met[k]++; !strings.HasSuffix(k, "0") { // one in ten stays
			passed = append(passed, purgeOf(k, dead(2, 1)))
		}
		if len(passed) == 100 && len(met) < keys*3/4 {
			for _, p := range passed {
				put(t, s, string(p.Key), dead(2, 1))
			}
			if n, err := s.Purge(0, passed); n != len(passed) || err != nil {
				t.Errorf("purged %d of %d: %v", n, len(passed), err)
			}
			passed = nil
		}
		return true
	})
	if err != nil || !next.Ends(keyspace.All()) || len(met) != keys {
		t.Errorf("%d keys, %+v, %v", len(met), next, err)
	}
	for k, n := range met {
		if n > 1 {
			t.Errorf("%s was met %d times", k, n)
		}
	}
	if after := s.Stats().Buckets; after > before*2/3 {
		t.Errorf("%d buckets, %d before: too few were merged", after, before)
	}
}

// A list of tombstones fits a message, however many tombstones there are.
func TestAListOfTombstonesIsBounded(t *testing.T) {
	s := open(t, testConfig)
	m := model{records: map[string]version.Record{}}
	for i := range 45_000 {
		key := fmt.Sprintf("%064d", i)
		m.records[key] = dead(1, 1)
		put(t, s, key, m.records[key])
	}
	if lists := tombstonesOf(t, s, &m, math.MaxInt); lists != 3 {
		t.Errorf("%d lists, want 3", lists)
	}
	full := make([]replica.Tombstone, 3)
	if list, next, err := s.Tombstones(0, keyspace.Place{Rank: 7}, len(full), full); len(list) != len(full) || next.Rank != 7 || err != nil {
		t.Errorf("of a list that is full already: %d, %+v, %v", len(list), next, err)
	}
}

// Looking for tombstones copies no bucket that has none, and takes one step for a partition that
// has none.
func TestLookingForTombstonesCopiesNoOthers(t *testing.T) {
	s := open(t, testConfig)
	for i := range 50_000 {
		put(t, s, fmt.Sprint("key ", i), live(1, strings.Repeat("v", 100)))
	}
	copied := func() (steps, buckets int) {
		var b Bucket
		for at := keyspace.Rank(0); ; {
			if err := s.copy(0, at, &b, true); err != nil {
				t.Fatal(err)
			}
			steps++
			if len(b.data) > 0 {
				buckets++
			}
			if at = b.Range.To; at == 0 {
				return steps, buckets
			}
		}
	}
	if steps, buckets := copied(); steps != keyspace.Partitions || buckets != 0 {
		t.Errorf("%d steps, %d buckets copied", steps, buckets)
	}
	put(t, s, "key 7", dead(2, 1))
	if steps, buckets := copied(); steps < keyspace.Partitions || steps > keyspace.Partitions+int(s.Stats().Buckets)/keyspace.Partitions*2 || buckets != 1 {
		t.Errorf("with one tombstone: %d steps, %d buckets copied", steps, buckets)
	}
}

// Keys that xxhash64 hashes alike are ordinary keys here. They collide only if this test is run
// with VIAKV_BREAK=keyed-hash -tags mutation (make mutation). Then all of them share one rank,
// within which pages and lists go on by key.
func TestCollidingKeysInPages(t *testing.T) {
	s := open(t, testConfig)
	m := model{records: map[string]version.Record{}}
	for i, key := range keyspacetest.Colliding(600) {
		rec := live(1, "v")
		if i%3 == 0 {
			rec = dead(1, 1)
		}
		m.records[string(key)] = rec
		m.records[fmt.Sprint("apart ", i)] = rec
	}
	for key, rec := range m.records {
		put(t, s, key, rec)
	}
	keys := m.entries(keyspace.All(), nil)
	for _, max := range []int{1, 1000, 64 << 10} {
		pagesOf(t, s, &m, keyspace.All(), nil, max)
		for i := 0; i < len(keys); i += 100 {
			e := keys[i]
			pagesOf(t, s, &m, keyspace.Range{From: e.Rank}, e.Key, max)
			pagesOf(t, s, &m, keyspace.Range{From: e.Rank, To: e.Rank + 1}, nil, max)
		}
	}
	for _, max := range []int{1, 50, math.MaxInt} {
		tombstonesOf(t, s, &m, max)
	}
}
