package scan

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"viakv/api/kv"
	"viakv/quorum/replica"
	"viakv/quorum/version"
)

// reads is a node's coordinator as a Reader. It notes the keys that are read.
type reads struct {
	*node
	before func(key string) // runs before a read; nil: nothing does

	mu   sync.Mutex
	keys map[string]int
}

func (x *reads) Get(ctx context.Context, dst, key []byte, o kv.Options) ([]byte, version.Tag, error) {
	x.mu.Lock()
	x.keys[string(key)]++
	x.mu.Unlock()
	if x.before != nil {
		x.before(string(key))
	}
	return x.node.Get(ctx, dst, key, o)
}

// read returns the keys that were read, in order, and forgets them.
func (x *reads) read() []string {
	x.mu.Lock()
	defer x.mu.Unlock()
	keys := slices.Sorted(maps.Keys(x.keys))
	clear(x.keys)
	return keys
}

// reading returns a mesh of three with 300 keys, scans at its first node, and what they read.
func reading(t *testing.T) (*mesh, *Scans, *reads) {
	s := newMesh(t, 3)
	s.fill(300)
	scans := s.scans(0)
	x := &reads{node: s.nodes[0], keys: map[string]int{}}
	scans.cfg.Reader = x
	return s, scans, x
}

// all returns what a scan delivers.
func all(t *testing.T, scans *Scans, o kv.ScanOptions) map[string]string {
	t.Helper()
	sc, err := scans.Scan(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer sc.Close()
	m := map[string]string{}
	last := uint64(0)
	for _, p := range drain(t, sc) {
		rank := uint64(rankOf([]byte(p.key)))
		if _, twice := m[p.key]; twice || rank < last {
			t.Errorf("%s came twice or late", p.key)
		}
		m[p.key], last = p.value, rank
	}
	return m
}

// L7: all replicas hold the same, and a record is not known to be complete. The scan reads it, be
// it a value or a tombstone, and delivers what the read has answered. It reads nothing else.
func TestAScanReadsWhatIsNotKnownToBeComplete(t *testing.T) {
	s, scans, x := reading(t)
	// A read that has found a record to be complete is not repeated. So each scan meets new ones.
	next := uint64(openFrom)
	reopen := func() {
		s.put("key-0003", written(next, "open"), 0, 1, 2)
		s.put("key-0004", removed(written(next, ""), next+1), 0, 1, 2)
		next += 2
	}
	reopen()
	s.put("key-0005", removed(written(1, ""), openFrom-1), 0, 1, 2)
	s.put("key-0007", version.Record{Tag: written(1, "").Tag.Tombstone(), Owner: version.Contested}, 0, 1, 2)
	open := []string{"key-0003", "key-0004", "key-0007"}
	want := func(o kv.ScanOptions, n int, reads []string) map[string]string {
		t.Helper()
		o.Values = true
		m := all(t, scans, o)
		if got := x.read(); len(m) != n || !slices.Equal(got, reads) {
			t.Errorf("%+v: %d keys, want %d; read %v, want %v", o, len(m), n, got, reads)
		}
		return m
	}
	if m := want(kv.ScanOptions{}, 297, open); m["key-0003"] != "open" {
		t.Errorf("%q", m["key-0003"])
	}
	if got := scans.Stats(); got.Read != 3 || got.Merged != 0 {
		t.Errorf("%+v", got)
	}
	want(kv.ScanOptions{}, 297, open[2:])
	reopen()
	want(kv.ScanOptions{Snapshot: true}, 297, open)
	reopen()
	want(kv.ScanOptions{Prefix: "key-0004"}, 0, open[1:2])
	want(kv.ScanOptions{Prefix: "key-01"}, 100, nil)
	// A weak get would answer from this node's copy.
	want(kv.ScanOptions{Options: kv.Options{R: 1}}, 297, nil)
	// A read that finds something newer is delivered in the place of its key.
	reopen()
	x.before = func(key string) { s.put(key, written(openFrom+20, "newer"), 0, 1, 2) }
	if m := want(kv.ScanOptions{}, 299, open); m["key-0003"] != "newer" || m["key-0004"] != "newer" || m["key-0007"] != "newer" {
		t.Errorf("%q %q %q", m["key-0003"], m["key-0004"], m["key-0007"])
	}
	// Each message brings watermarks. What they confirm is not read.
	x.before = nil
	s.before = func(op string, m int) {
		if op == "digests" {
			s.nodes[0].Current().Marks.Learn(writer, openFrom+21)
		}
	}
	want(kv.ScanOptions{}, 299, nil)
}

func TestAScanOfWhatIsConfirmedReadsNothing(t *testing.T) {
	_, scans, x := reading(t)
	for _, o := range []kv.ScanOptions{{}, {Values: true}, {Prefix: "key-01"}, {Snapshot: true}} {
		m := all(t, scans, o)
		if got := x.read(); len(m) < 100 || len(got) > 0 {
			t.Errorf("%+v: %d keys, and read %v", o, len(m), got)
		}
	}
}

// Whatever replicas hold, and wherever the scan begins: it reads each key of which its own copy has
// a record that is not known to be complete. It reads no key of which all copies are the same, and
// known to be complete.
func TestRandomRecordsAreReadUnlessConfirmed(t *testing.T) {
	for seed := range uint64(30) {
		random := rand.New(rand.NewPCG(seed, 5))
		s, scans, x := reading(t)
		const coordinator = 8
		s.nodes[0].Current().Marks.Learn(coordinator, 1+random.Uint64N(60))
		for i, n := range random.Perm(60) {
			number := 1 + uint64(n)
			rec := version.Record{Tag: version.Tag{Counter: 2, Incarnation: writer}, Value: []byte("v")}
			switch random.IntN(3) {
			case 0:
				rec.Tag.Counter, rec.Tag.Incarnation = number, coordinator
			case 1:
				rec = version.Record{Tag: rec.Tag.Tombstone(), Owner: version.Operation{Incarnation: coordinator, Sequence: number}}
			}
			holders := []int{0, 1, 2}
			if random.IntN(8) == 0 {
				holders = holders[random.IntN(3):]
			}
			s.put(fmt.Sprintf("key-%04d", 2*i), rec, holders...)
		}
		held := [3]map[string]version.Record{}
		for i, st := range s.Stores {
			held[i] = st.Records()
		}
		v := s.nodes[0].Current()
		must, may := map[string]bool{}, map[string]bool{}
		for key, rec := range held[0] {
			must[key] = !v.Confirmed(&rec)
			same := func(i int) bool { r := held[i][key]; return r.Tag == rec.Tag && r.Owner == rec.Owner }
			may[key] = must[key] || !same(1) || !same(2)
		}
		o := kv.ScanOptions{Values: random.IntN(2) == 0}
		read := map[string]bool{}
		// Both halves of the scan: from the start to some pair, and from there on.
		sc, err := scans.Scan(context.Background(), o)
		if err != nil {
			t.Fatal(err)
		}
		b := next(t, sc)
		n := 1 + random.IntN(len(b.Pairs))
		o.Cursor = sc.Cursor(n)
		drain(t, sc)
		sc.Close()
		for _, key := range x.read() {
			read[key] = true
		}
		for key := range must {
			if must[key] && !read[key] || read[key] && !may[key] {
				t.Errorf("seed %d: %s: must be read %v, may be read %v, was read %v", seed, key, must[key], may[key], read[key])
			}
		}
		place := rankOf(b.Pairs[n-1].Key)
		all(t, scans, o)
		for _, key := range x.read() {
			if rankOf([]byte(key)) < place || !may[key] {
				t.Errorf("seed %d: %s was read after the cursor", seed, key)
			}
		}
	}
}

// Where replicas differ, a key on which they agree is read if its record is not known to be
// complete.
func TestAScanReadsInBucketsThatDiffer(t *testing.T) {
	s, scans, x := reading(t)
	// Two keys of one partition, so of one bucket at the first level.
	byPartition := map[int]string{}
	var agreed, differs string
	for i := 0; agreed == ""; i++ {
		key := fmt.Sprintf("key-%04d", i)
		p := int(rankOf([]byte(key)).Partition())
		agreed, differs = byPartition[p], key
		byPartition[p] = key
	}
	s.put(agreed, written(openFrom, "open"), 0, 1, 2)
	s.put(differs, written(7, "newer"), 1, 2)
	m := all(t, scans, kv.ScanOptions{Values: true})
	got := x.read()
	if len(m) != 300 || m[agreed] != "open" || m[differs] != "newer" || len(got) != 2 || !slices.Contains(got, agreed) {
		t.Errorf("%d keys, %q, %q, read %v", len(m), m[agreed], m[differs], got)
	}
}

// A snapshot scan whose read finds something else than what was compared compares again.
func TestASnapshotDeliversWhatWasCompared(t *testing.T) {
	s, scans, x := reading(t)
	s.put("key-0003", written(openFrom, "open"), 0, 1, 2)
	s.put("key-0004", removed(written(1, ""), openFrom), 0, 1, 2)
	x.before = func(key string) { s.put(key, written(openFrom+1, "newer"), 0, 1, 2) }
	m := all(t, scans, kv.ScanOptions{Values: true, Snapshot: true})
	if len(m) != 300 || m["key-0003"] != "newer" || m["key-0004"] != "newer" {
		t.Errorf("%d keys, %q, %q", len(m), m["key-0003"], m["key-0004"])
	}
}

// A read that fails ends the scan.
func TestAScanThatCannotReadFails(t *testing.T) {
	s, scans, x := reading(t)
	s.put("key-0003", written(openFrom, "open"), 0, 1, 2)
	x.before = func(string) { s.nodes[0].Install(s.View(0, func(v *replica.View) { v.Self = -1 })) }
	sc, err := scans.Scan(context.Background(), kv.ScanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer sc.Close()
	if _, err := drained(sc, nil); !errors.Is(err, kv.ErrUnavailable) {
		t.Error(err)
	}
}

// A member that has not heard of a clear may still answer what was before. At the epoch of the
// clear a scan reads a key, and so waits until that is over. At the next epoch it is.
func TestAScanWaitsForAClear(t *testing.T) {
	s, scans, x := reading(t)
	s.Advance(func(v *replica.View) { v.Generation, v.Cleared = 1, s.Epoch }, 0, 1, 2)
	for _, st := range s.Stores {
		st.Advance(s.Epoch, func(version.Record) bool { return false })
	}
	for o, want := range map[kv.Quorum]int{kv.QuorumDefault: 1, 1: 0} {
		m := all(t, scans, kv.ScanOptions{Options: kv.Options{R: o}})
		if got := x.read(); len(m) != 0 || len(got) != want {
			t.Errorf("r=%v at the epoch of a clear: %d keys, read %v, want %d reads", o, len(m), got, want)
		}
	}
	s.Advance(func(v *replica.View) { v.Generation, v.Cleared = 1, s.Epoch-1 }, 0, 1, 2)
	all(t, scans, kv.ScanOptions{})
	if got := x.read(); len(got) != 0 {
		t.Errorf("after the epoch of a clear: read %v", got)
	}
}
