package kvtest

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"viakv/api/kv"
	"viakv/quorum/version"
)

// What a batch has before it is stored. The store must replace both in each of its writes.
var (
	errStale     = errors.New("an error from before the batch")
	staleVersion = version.Tag{Generation: 1 << 40, Counter: 1 << 40, Incarnation: 1}
)

// batchOf returns the pairs as a batch, in no order.
func batchOf(pairs map[string]string) (writes []kv.Write) {
	for k, v := range pairs {
		writes = append(writes, kv.Write{Key: []byte(k), Value: []byte(v), Version: staleVersion, Err: errStale})
	}
	return writes
}

// setMany stores a batch. It returns an error unless all of it is stored.
func setMany(s kv.Store, writes []kv.Write) error {
	s.SetMany(background, writes, patient())
	for i, w := range writes {
		if w.Err != nil {
			return fmt.Errorf("value %d of %d of a batch, key %q: %w", i, len(writes), w.Key, w.Err)
		}
	}
	return nil
}

// mustSetMany stores the pairs, and returns the version of each.
func mustSetMany(t testing.TB, s kv.Store, pairs map[string]string) map[string]version.Tag {
	t.Helper()
	writes, versions := batchOf(pairs), map[string]version.Tag{}
	if err := setMany(s, writes); err != nil {
		t.Fatal(err)
	}
	for _, w := range writes {
		versions[string(w.Key)] = w.Version
	}
	return versions
}

// batches checks what batches of many sizes store, and the versions that they return.
func batches(t testing.TB, open Open) {
	s := open(t)
	s.SetMany(background, nil, patient())
	want := map[string]string{}
	for _, pairs := range []map[string]string{
		{"one": "1"}, {"one": "", "another": "2"}, oddPairs(t), numbered(1000), {"one": "3"},
	} {
		mustSetMany(t, s, pairs)
		maps.Copy(want, pairs)
		mustEqual(t, collect(t, s, kv.ScanOptions{Options: patient(), Values: true}), want, true)
	}
	// A batch meets values as well as keys that have none, or have none any more.
	pairs := map[string]string{"new": "4"}
	for i := range 1000 {
		k := fmt.Sprintf("key %05d", i)
		if i%3 == 0 {
			mustRemove(t, s, k)
			delete(want, k)
		}
		if i%2 == 0 {
			pairs[k] = strconv.Itoa(i)
		}
	}
	first := mustSetMany(t, s, pairs)
	maps.Copy(want, pairs)
	mustEqual(t, collect(t, s, kv.ScanOptions{Options: patient(), Values: true}), want, true)
	for k, v := range first {
		_, read, err := s.Get(background, nil, []byte(k), patient())
		if err != nil || read != v {
			t.Fatalf("the version of %q: set in a batch %v, get %v, %v", k, v, read, err)
		}
	}
	for k, v := range mustSetMany(t, s, pairs) {
		if !v.IsZero() && !first[k].Less(v) {
			t.Fatalf("version %v of %q is not below the later batch's %v", first[k], k, v)
		}
	}
	mustClear(t, s)
	mustSetMany(t, s, map[string]string{"one": "5", "two": "6"})
	mustEqual(t, collect(t, s, kv.ScanOptions{Options: patient(), Values: true}), map[string]string{"one": "5", "two": "6"}, true)
	writes := []kv.Write{{Key: []byte("nil")}, {Key: []byte("two"), Value: []byte("7")}}
	if err := setMany(s, writes); err != nil {
		t.Fatal(err)
	}
	mustGet(t, s, "nil", "")
	mustGet(t, s, "two", "7")
}

// borrowedBatches checks that the store keeps no slice of a batch, and leaves keys and values as
// they are.
func borrowedBatches(t testing.TB, open Open) {
	s := open(t)
	want := numbered(100)
	writes := batchOf(want)
	given := slices.Clone(writes)
	if err := setMany(s, writes); err != nil {
		t.Fatal(err)
	}
	for i, w := range writes {
		if !bytes.Equal(w.Key, given[i].Key) || !bytes.Equal(w.Value, given[i].Value) || want[string(w.Key)] != string(w.Value) {
			t.Fatalf("a write of a batch became %q: %q", w.Key, w.Value)
		}
		for j := range w.Key {
			w.Key[j] = 'x'
		}
		for j := range w.Value {
			w.Value[j] = 'y'
		}
	}
	clear(writes)
	mustEqual(t, collect(t, s, kv.ScanOptions{Options: patient(), Values: true}), want, true)
}

// overlappingBatches has writers that store the same keys, each in orders of its own. All batches
// must succeed. At the end each key has what one of the writers has written last.
func overlappingBatches(t testing.TB, open Open) {
	const writers, rounds, keys = 4, 30, 60
	s := open(t)
	var g group
	for w := range writers {
		g.run(func() error {
			random := rand.New(rand.NewPCG(uint64(w), 7))
			for round := 1; round <= rounds; round++ {
				writes := make([]kv.Write, keys)
				for i, k := range random.Perm(keys) {
					writes[i] = kv.Write{Key: fmt.Appendf(nil, "key %d", k), Value: fmt.Appendf(nil, "%d of %d", round, w), Err: errStale}
				}
				if err := setMany(s, writes); err != nil {
					return err
				}
			}
			return nil
		})
	}
	g.wait(t)
	found := collect(t, s, kv.ScanOptions{Options: patient(), Values: true})
	for k := range keys {
		v := found[fmt.Sprintf("key %d", k)]
		var round, w int
		if n, err := fmt.Sscanf(v, "%d of %d", &round, &w); n != 2 || err != nil || round != rounds {
			t.Fatalf("key %d has %q, want what a writer wrote in round %d", k, v, rounds)
		}
	}
}

// batchesGrow is readsGrow with batches: for each key the batch must be as a set is.
func batchesGrow(t testing.TB, open Open) {
	s := open(t)
	growing(t, s, []string{"k", "l", "m"}, func(value string) error {
		return setMany(s, batchOf(map[string]string{"k": value, "l": value, "m": value}))
	})
}

// removesAndBatches is removesAndSets with batches.
func removesAndBatches(t testing.TB, open Open) {
	s := open(t)
	removing(t, s, func(value string) error {
		return setMany(s, batchOf(map[string]string{"j": value, "k": value, "l": value}))
	})
}
