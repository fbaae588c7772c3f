package storage

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"
	"unsafe"

	"pgregory.net/rapid"

	"viakv/node/storage/packed"
	"viakv/quorum/replica"
	"viakv/quorum/version"
	"viakv/ring/keyspace"
)

var testSeed = keyspace.Seed{7}

var testConfig = Config{Seed: testSeed, DigestKey: [2]uint64{11, 13}}

// verify recounts a store from its blocks. It fails if a count or a digest that is kept up to date
// differs.
func verify(t rapid.TB, s *Store) {
	t.Helper()
	s.background.Wait()
	var data, used, blocks, headers int64
	for p := range s.shards {
		tab := &s.shards[p].table
		var sum replica.Digest
		var tabData, tabUsed, tabBlocks int64
		linked := 0
		// Each bucket: its interval, its digest, its blocks, and the way from key to record.
		for i := range tab.count() {
			level := tab.level
			if i < tab.split || i >= 1<<tab.level {
				level++
			}
			b := tab.bucket(i)
			own := keyspace.Partition(p).Bucket(level, i)
			at, r := tab.at(own.From)
			if at != b || r != own {
				t.Fatalf("partition %d: rank %x leads to %v, not to bucket %d, %v", p, own.From, r, i, own)
			}
			if got := tab.recount(b, own); got != b.digest() {
				t.Fatalf("partition %d bucket %d: recounted %v, kept %v", p, i, got, b.digest())
			}
			sum = sum.Add(b.digest())
			for c := &b.chunk; c.cap != 0; c = &tab.links[c.next-1] {
				block := tab.bytes(c)
				if err := block.Check(); err != nil {
					t.Fatalf("partition %d bucket %d: %v", p, i, err)
				}
				if len(block) == 0 {
					t.Fatalf("partition %d bucket %d keeps an empty block", p, i)
				}
				tabUsed += int64(len(block))
				tabBlocks += int64(c.cap)
				if c.next == 0 {
					break
				}
				linked++
			}
			tab.each(b, func(block packed.Block, r packed.Record, _, _ int) {
				tabData += int64(len(r.Key) + len(r.Meta) + len(r.Value))
				h := tab.space.seed.Hash(r.Key)
				if at := tab.find(h, r.Key); at.slot < 0 || &at.block[0] != &block[0] {
					t.Fatalf("partition %d bucket %d: %q is not found where it lies", p, i, r.Key)
				}
			})
		}
		// The table: its links and its sums.
		free := 0
		for i := tab.spare; i != 0; i = tab.links[i-1].next {
			free++
		}
		if linked+free != len(tab.links) {
			t.Fatalf("partition %d: %d links in chains and %d free of %d", p, linked, free, len(tab.links))
		}
		if sum != tab.digest || tabData != tab.data || tabUsed != tab.used || tabBlocks != tab.blocks {
			t.Fatalf("partition %d: recounted %v, %d, %d, %d; kept %v, %d, %d, %d", p,
				sum, tabData, tabUsed, tabBlocks, tab.digest, tab.data, tab.used, tab.blocks)
		}
		data, used, blocks = data+tabData, used+tabUsed, blocks+tabBlocks
		for _, seg := range tab.segments {
			headers += int64(len(seg)) * int64(unsafe.Sizeof(bucket{}))
		}
		headers += int64(cap(tab.links)) * int64(unsafe.Sizeof(chunk{}))
	}
	// The store: its statistics.
	st := s.Stats()
	if st.DataBytes != data || st.UsedBytes != used || st.Extents.Blocks != blocks || st.HeaderBytes != headers || st.Leaving != 0 {
		t.Fatalf("recounted data %d, used %d, blocks %d, headers %d; stats %+v", data, used, blocks, headers, st)
	}
	if st.Bytes != st.Extents.InUse+headers || st.Bytes != s.Bytes() || st.Extents.InUse < blocks {
		t.Fatalf("bytes %d, %d; stats %+v", st.Bytes, s.Bytes(), st)
	}
}

// model is the oracle: records in a map, merged by the rules as the protocol states them.
type model struct {
	epoch      version.Epoch
	generation version.Generation
	records    map[string]version.Record
}

func (m *model) digest(r keyspace.Range) (d replica.Digest) {
	for key, rec := range m.records {
		h := testSeed.Hash([]byte(key))
		if r.Contains(h.Rank()) {
			d = d.Add(digestKey(testConfig.DigestKey).of(h, rec.Tag, rec.Owner))
		}
	}
	return d
}

func same(a, b version.Record) bool {
	// A tombstone has no value, not even an empty one.
	if a.Tag.Removed && a.Value != nil || b.Tag.Removed && b.Value != nil {
		return false
	}
	return a.Tag == b.Tag && a.Owner == b.Owner && bytes.Equal(a.Vector, b.Vector) && bytes.Equal(a.Value, b.Value)
}

// payload returns a value or a vector that depends on the tag, so that a mix-up shows.
func payload(n int, tag version.Tag) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(int(tag.Counter)*31 + int(tag.Incarnation)*7 + i)
	}
	return p
}

type machine struct {
	s    *Store
	m    model
	keys []string
}

func (x *machine) drawKey(t *rapid.T) []byte {
	return []byte(rapid.SampledFrom(x.keys).Draw(t, "key"))
}

func (x *machine) drawRecord(t *rapid.T, key []byte) version.Record {
	// There are few tags per key, so that equal tags and tombstones of what is there come up.
	// Lengths follow from the tag (V2).
	tag := version.Tag{
		Generation:  x.m.generation,
		Counter:     rapid.Uint64Range(0, 6).Draw(t, "counter"),
		Incarnation: version.Incarnation(rapid.IntRange(1, 2).Draw(t, "incarnation")),
	}
	size := int(tag.Counter*uint64(len(key))*97) % 1025
	r := version.Record{Tag: tag, Vector: payload(int(tag.Counter*tag.Counter*uint64(tag.Incarnation)*13)%version.MaxVectorBytes, tag)}
	if rapid.Bool().Draw(t, "removed") {
		r.Tag.Removed = true
		r.Owner = version.Operation{Incarnation: version.Incarnation(rapid.IntRange(0, 2).Draw(t, "owner")), Sequence: 1}
		if r.Owner.Incarnation == 0 {
			r.Owner = version.Contested
		}
		return r
	}
	r.Value = payload(size, tag)
	return r
}

// crowd puts many records. The keys that it draws from are crowded, so that blocks chain.
func (x *machine) crowd(t *rapid.T) {
	for range rapid.IntRange(1, 40).Draw(t, "records") {
		x.put(t)
	}
}

func (x *machine) put(t *rapid.T) {
	key := x.drawKey(t)
	rec := x.drawRecord(t, key)
	have := x.m.records[string(key)]
	want := version.Merge(have, rec)
	changed, err := x.s.Put(x.m.epoch, testSeed.Hash(key), key, &rec)
	if wantChanged := rec.Tag.Counter != 0 && !same(have, want); err != nil || changed != wantChanged {
		t.Fatalf("put %v over %v: changed %v, %v; want %v", rec.Tag, have.Tag, changed, err, wantChanged)
	}
	if rec.Tag.Counter != 0 {
		x.m.records[string(key)] = want.Clone()
	}
}

func (x *machine) vote(t *rapid.T) {
	key := x.drawKey(t)
	rec := x.drawRecord(t, key)
	have := x.m.records[string(key)]
	voted, err := x.s.Vote(x.m.epoch, testSeed.Hash(key), key, &rec)
	want := false
	if rec.Tag.Removed && rec.Tag.Counter != 0 && rec.Owner != version.Contested {
		switch {
		case have.Tag.Less(rec.Tag):
			want = true
			x.m.records[string(key)] = rec.Clone()
		case have.Tag == rec.Tag:
			want = have.Owner == rec.Owner
		}
	}
	if err != nil || voted != want {
		t.Fatalf("vote for %v of %v over %v of %v: %v, %v", rec.Tag, rec.Owner, have.Tag, have.Owner, voted, err)
	}
}

func (x *machine) get(t *rapid.T) {
	key := x.drawKey(t)
	want := x.m.records[string(key)]
	prefix := []byte("what was there")
	rec, buf, err := x.s.Get(x.m.epoch, testSeed.Hash(key), key, prefix)
	if err != nil || !same(rec, want) || !bytes.HasPrefix(buf, prefix) {
		t.Fatalf("get %q: %+v, %q, %v; want %+v", key, rec, buf, err, want)
	}
	tag, _, err := x.s.Tag(x.m.epoch, testSeed.Hash(key), key, nil)
	want.Value = nil
	if err != nil || !same(tag, want) {
		t.Fatalf("tag of %q: %+v, %v; want %+v", key, tag, err, want)
	}
}

func (x *machine) stale(t *rapid.T) {
	key := x.drawKey(t)
	rec := x.drawRecord(t, key)
	epoch := x.m.epoch + version.Epoch(rapid.SampledFrom([]int{-1, 1}).Draw(t, "off"))
	x.refuses(t, epoch, key, rec, replica.ErrEpoch)
	if _, _, err := x.s.Get(epoch, testSeed.Hash(key), key, nil); !errors.Is(err, replica.ErrEpoch) {
		t.Fatalf("get at another epoch: %v", err)
	}
	var b Bucket
	if err := x.s.Copy(epoch, testSeed.Hash(key).Rank(), &b); !errors.Is(err, replica.ErrEpoch) || len(b.data) != 0 || b.Digest != (replica.Digest{}) {
		t.Fatalf("copy at another epoch: %d bytes, %v", len(b.data), err)
	}
	if d, err := x.s.Digest(epoch, keyspace.All()); !errors.Is(err, replica.ErrEpoch) || d != (replica.Digest{}) {
		t.Fatalf("digest at another epoch: %v, %v", d, err)
	}
	x.staleRange(t, epoch)
	for key, r := range x.m.records {
		if n, err := x.s.Purge(epoch, []replica.Tombstone{purgeOf(key, r)}); n != 0 || r.Tag.Removed && !errors.Is(err, replica.ErrEpoch) {
			t.Fatalf("purge at another epoch: %d, %v", n, err)
		}
	}
	rec.Tag.Generation += version.Generation(rapid.SampledFrom([]int{-1, 1}).Draw(t, "generation"))
	rec.Tag.Counter = 7 // above all that drawRecord draws
	x.refuses(t, x.m.epoch, key, rec, errGeneration)
}

// refuses checks that all that writes a record fails with an error.
func (x *machine) refuses(t *rapid.T, epoch version.Epoch, key []byte, rec version.Record, want error) {
	h := testSeed.Hash(key)
	for name, err := range map[string]error{
		"put":  second(x.s.Put(epoch, h, key, &rec)),
		"vote": second(x.s.Vote(epoch, h, key, &rec)),
	} {
		if !errors.Is(err, want) {
			t.Fatalf("%s: %v, want %v", name, err, want)
		}
	}
}

func (x *machine) advance(t *rapid.T) {
	epoch := x.m.epoch + version.Epoch(rapid.SampledFrom([]int{-1, 0, 1, 2}).Draw(t, "epoch"))
	gen := x.m.generation + version.Generation(rapid.SampledFrom([]int{-1, 0, 0, 0, 1}).Draw(t, "generation"))
	x.s.Advance(epoch, gen)
	x.m.epoch = max(x.m.epoch, epoch)
	if gen > x.m.generation {
		x.m.generation = gen
		clear(x.m.records)
	}
}

func (x *machine) purge(t *rapid.T) {
	var list []replica.Tombstone
	want := 0
	seen := map[string]bool{}
	for key, rec := range x.m.records {
		if rec.Tag.Removed {
			list = append(list, purgeOf(key, rec))
		}
	}
	slices.SortFunc(list, func(a, b replica.Tombstone) int { return bytes.Compare(a.Key, b.Key) })
	list = list[:rapid.IntRange(0, len(list)).Draw(t, "tombstones")]
	for i := range list {
		switch rapid.SampledFrom([]string{"exact", "exact", "other tag", "live", "absent"}).Draw(t, "kind") {
		case "exact":
			want++
			seen[string(list[i].Key)] = true
		case "other tag":
			list[i].Tag.Counter++
		case "absent":
			list[i].Key = append([]byte("no "), list[i].Key...)
		case "live":
			list[i].Tag.Removed = false
		}
	}
	if got, err := x.s.Purge(x.m.epoch, list); got != want || err != nil {
		t.Fatalf("purged %d, %v, want %d", got, err, want)
	}
	for key := range seen {
		delete(x.m.records, key)
	}
}

func (x *machine) walk(t *rapid.T) {
	var b Bucket
	got := map[string]bool{}
	at := keyspace.Rank(0)
	last := replica.Entry{}
	for {
		if err := x.s.Copy(x.m.epoch, at, &b); err != nil || b.Range.From != at {
			t.Fatalf("the copy at %x is of %v: %v", at, b.Range, err)
		}
		if r, err := x.s.Check(at); err != nil || r != b.Range {
			t.Fatalf("check at %x: %v, %v", at, r, err)
		}
		var sum replica.Digest
		for e := range b.entries {
			if e.Rank < last.Rank || e.Rank == last.Rank && bytes.Compare(e.Key, last.Key) <= 0 && last.Key != nil {
				t.Fatalf("%x %q follows %x %q", e.Rank, e.Key, last.Rank, last.Key)
			}
			if !b.Range.Contains(e.Rank) || e.Rank != testSeed.Hash(e.Key).Rank() {
				t.Fatalf("entry %q of rank %x in %v", e.Key, e.Rank, b.Range)
			}
			if want, ok := x.m.records[string(e.Key)]; !ok || !same(want, e.Record) || got[string(e.Key)] {
				t.Fatalf("entry %q: %+v, want %+v (before: %v)", e.Key, e.Record, want, got[string(e.Key)])
			}
			got[string(e.Key)] = true
			sum = sum.Add(x.s.space.key.of(testSeed.Hash(e.Key), e.Record.Tag, e.Record.Owner))
			last = replica.Entry{Rank: e.Rank, Key: bytes.Clone(e.Key)}
		}
		if sum != b.Digest {
			t.Fatalf("entries sum to %v, the bucket's digest is %v", sum, b.Digest)
		}
		if at = b.Range.To; at == 0 {
			break
		}
	}
	if len(got) != len(x.m.records) {
		t.Fatalf("walked over %d of %d records", len(got), len(x.m.records))
	}
}

func (x *machine) compare(t *rapid.T) {
	r := drawRange(t)
	want := x.m.digest(r)
	if r.Empty() {
		want = replica.Digest{}
	}
	if got, err := x.s.Digest(x.m.epoch, r); got != want || err != nil {
		t.Fatalf("digest of %v: %v, %v, want %v", r, got, err, want)
	}
	if got, want := x.s.Root(), x.m.digest(keyspace.All()); got != want {
		t.Fatalf("root: %v, want %v", got, want)
	}
}

func drawRange(t *rapid.T) keyspace.Range {
	r := keyspace.Range{From: drawRank(t, "from"), To: drawRank(t, "to")}
	if r.From > r.To && r.To != 0 {
		r.From, r.To = r.To, r.From
	}
	return r
}

func drawRank(t *rapid.T, label string) keyspace.Rank {
	switch rapid.SampledFrom([]string{"any", "key", "partition", "end"}).Draw(t, label) {
	case "any":
		return keyspace.Rank(rapid.Uint64().Draw(t, label))
	case "key":
		return testSeed.Hash(fmt.Appendf(nil, "key-%d", rapid.IntRange(0, 40).Draw(t, label))).Rank()
	case "partition":
		return keyspace.Partition(rapid.IntRange(0, keyspace.Partitions-1).Draw(t, label)).First()
	}
	return 0
}

// A store is a map with merge, whatever splits and merges its buckets undergo.
func TestStoreIsAMapWithMerge(t *testing.T) { rapid.Check(t, storeIsAMap) }

func FuzzStore(f *testing.F) { f.Fuzz(rapid.MakeFuzz(storeIsAMap)) }

var crowd = crowded(120)

func storeIsAMap(t *rapid.T) {
	// A small target makes tables of a few records split and merge all the time.
	target := rapid.SampledFrom([]int64{300, 1000, bucketTarget, 1 << 30}).Draw(t, "target")
	x := machine{s: newStore(testConfig, target), m: model{records: map[string]version.Record{}}}
	defer x.s.Close()
	for i := range 40 {
		x.keys = append(x.keys, fmt.Sprintf("key-%d", i))
	}
	x.keys = append(x.keys, string(payload(256, version.Tag{})), "\x00", crowd[0])
	x.keys = append(x.keys, crowd...)
	t.Repeat(map[string]func(*rapid.T){
		"put":     x.put,
		"crowd":   x.crowd,
		"crowd2":  x.crowd,
		"vote":    x.vote,
		"get":     x.get,
		"stale":   x.stale,
		"advance": x.advance,
		"purge":   x.purge,
		"compare": x.compare,
		"walk":    x.walk,
		"page":    x.page,
		"removed": x.tombstones,
		"warmed":  x.warm,
		"pairs":   x.pairs,
		"": func(t *rapid.T) {
			if st := x.s.Stats(); int(st.Keys+st.Tombstones) != len(x.m.records) {
				t.Fatalf("%d keys and %d tombstones, want %d together", st.Keys, st.Tombstones, len(x.m.records))
			}
		},
	})
	x.walk(t)
	verify(t, x.s)
}

// crowded returns keys of one partition that share the low bits of their hashes.
func crowded(n int) (keys []string) {
	for i := 0; len(keys) < n; i++ {
		key := fmt.Sprintf("crowd-%d", i)
		if h := testSeed.Hash([]byte(key)); h.Partition() == 3 && h&15 == 5 {
			keys = append(keys, key)
		}
	}
	return keys
}
