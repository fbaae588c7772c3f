package kvtest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"viakv/api/kv"
	"viakv/quorum/version"
)

// readsOf returns a batch of gets. What the store must replace is stale in each.
func readsOf(keys ...string) []kv.Read {
	reads := make([]kv.Read, len(keys))
	for i, k := range keys {
		reads[i] = kv.Read{Key: []byte(k), Value: []byte("a value from before the batch"), Version: staleVersion, Err: errStale}
	}
	return reads
}

// mustGetMany gets keys as one batch, whose values may lie behind dst. It checks what each key got:
// its value in want, or ErrMissing.
func mustGetMany(t testing.TB, s kv.Store, dst []byte, want map[string]string, keys ...string) []kv.Read {
	t.Helper()
	reads, before := readsOf(keys...), string(dst)
	out := s.GetMany(background, dst, reads, patient())
	if string(dst) != before || len(out) < len(before) || string(out[:len(before)]) != before {
		t.Fatalf("a batch of gets appends to %q: it became %q, and %.100q was returned", before, dst, out)
	}
	mustHaveRead(t, reads, want, keys)
	return reads
}

func mustHaveRead(t testing.TB, reads []kv.Read, want map[string]string, keys []string) {
	t.Helper()
	for i, r := range reads {
		k := keys[i]
		v, there := want[k]
		switch {
		case string(r.Key) != k:
			t.Fatalf("get %d of %d of a batch: key %q became %q", i, len(reads), k, r.Key)
		case there && (r.Err != nil || string(r.Value) != v):
			t.Fatalf("get %d of %d of a batch, %q: got %q, %v, want %q", i, len(reads), k, r.Value, r.Err, v)
		case !there && (!errors.Is(r.Err, kv.ErrMissing) || r.Value != nil):
			t.Fatalf("get %d of %d of a batch, %q: got %q, %v, want ErrMissing and a nil value", i, len(reads), k, r.Value, r.Err)
		case r.Version == staleVersion:
			t.Fatalf("get %d of %d of a batch, %q: the version is from before", i, len(reads), k)
		}
	}
}

// manyGets checks what batches of gets find, in any order, beside keys that have no value.
func manyGets(t testing.TB, open Open) {
	s := open(t)
	mustGetMany(t, s, nil, nil)
	mustGetMany(t, s, []byte("before:"), nil)
	mustGetMany(t, s, nil, nil, "one", "two", "one")
	want := numbered(1100)
	for k, v := range oddPairs(t) {
		want[k] = v
	}
	want["empty"] = ""
	mustSetMany(t, s, want)
	for i := 0; i < 1100; i += 11 {
		k := fmt.Sprintf("key %05d", i)
		mustRemove(t, s, k)
		delete(want, k)
	}
	mustGetMany(t, s, nil, want, "empty")
	mustGetMany(t, s, nil, want, "nowhere")
	mustGetMany(t, s, []byte("before:"), want, "nowhere", "key 00001", "empty", "key 00000", "key 00001", "nowhere", "key 00002")

	// All keys in any order, of which some are missing and some are named twice.
	keys := slices.Concat(odd, odd[:7], []string{"empty", "Empty", "empty "})
	for i := range 1100 {
		keys = append(keys, fmt.Sprintf("key %05d", i))
	}
	random := rand.New(rand.NewPCG(7, 7))
	random.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	for _, dst := range [][]byte{nil, []byte("before:"), append(make([]byte, 0, 1000), "room:"...)} {
		mustGetMany(t, s, dst, want, keys...)
	}
	mustClear(t, s)
	mustGetMany(t, s, nil, nil, keys...)
	mustSet(t, s, "empty", "no more")
	mustGetMany(t, s, nil, map[string]string{"empty": "no more"}, keys...)
}

// versionsOfManyGets checks that a batch of gets reads the versions that single gets read.
func versionsOfManyGets(t testing.TB, open Open) {
	s := open(t)
	want := numbered(100)
	mustSetMany(t, s, want)
	mustSet(t, s, "key 00050", "later")
	want["key 00050"] = "later"
	keys := []string{"nowhere"}
	for k := range want {
		keys = append(keys, k)
	}
	for _, r := range mustGetMany(t, s, nil, want, keys...)[1:] {
		_, single, err := s.Get(background, nil, r.Key, patient())
		if err != nil || single != r.Version {
			t.Fatalf("the version of %q: got in a batch %v, alone %v, %v", r.Key, r.Version, single, err)
		}
	}
}

// borrowedReads checks that the store keeps no slice of a batch of gets, and changes none that it
// returned.
func borrowedReads(t testing.TB, open Open) {
	s := open(t)
	want, other, keys := numbered(100), map[string]string{}, []string{}
	for k := range want {
		keys, other[k] = append(keys, k), "another value, which is longer than each of those that were there before"
	}
	mustSetMany(t, s, want)
	reads := mustGetMany(t, s, nil, want, keys...)
	mustSetMany(t, s, other)
	mustGetMany(t, s, nil, other, keys...)
	mustHaveRead(t, reads, want, keys)
	for _, r := range reads {
		for i := range r.Key {
			r.Key[i] = 'x'
		}
		for i := range r.Value {
			r.Value[i] = 'y'
		}
	}
	mustGetMany(t, s, nil, other, keys...)
	mustEqual(t, collect(t, s, kv.ScanOptions{Options: patient(), Values: true}), other, true)
}

// together is a store whose single gets are batches. The keys beside the one that is asked for are
// always the same.
type together struct {
	kv.Store
	beside []string
}

func (s together) Get(ctx context.Context, dst, key []byte, o kv.Options) ([]byte, version.Tag, error) {
	reads := append(readsOf(s.beside...), kv.Read{Key: key})
	s.GetMany(ctx, nil, reads, o)
	r := reads[len(reads)-1]
	return append(dst, r.Value...), r.Version, r.Err
}

// manyGetsGrow is readsGrow with batches of gets: for each key the batch must be as a get is.
func manyGetsGrow(t testing.TB, open Open) {
	s := open(t)
	growing(t, together{s, []string{"k", "nowhere", "l"}}, []string{"k", "l"}, func(value string) error {
		return setMany(s, batchOf(map[string]string{"k": value, "l": value}))
	})
}

// deadlinesOfManyGets checks batches of gets whose time is over. Each key must have its value, or
// an error that says that nothing was done.
func deadlinesOfManyGets(t testing.TB, open Open) {
	impatientGets(t, open(t), past)
	impatientGets(t, open(t), soon)
}

// cancellationOfManyGets makes the same check with a deadline that comes from the caller's context.
func cancellationOfManyGets(t testing.TB, open Open) { impatientGets(t, open(t), cancelled) }

func impatientGets(t testing.TB, s kv.Store, request func() (context.Context, kv.Options)) {
	t.Helper()
	want, keys := map[string]string{}, []string{"nowhere"}
	for i := range 200 {
		k := fmt.Sprintf("key %d", i)
		keys, want[k] = append(keys, k), strconv.Itoa(i)
	}
	mustSetMany(t, s, want)
	reads := readsOf(keys...)
	ctx, o := request()
	began := time.Now()
	out := s.GetMany(ctx, []byte("before:"), reads, o)
	if d := time.Since(began); d > tolerance {
		t.Fatalf("a batch of gets took %v behind its deadline", d)
	}
	if len(out) < len("before:") || string(out[:len("before:")]) != "before:" {
		t.Fatalf("a batch of gets that was too late returned %.100q", out)
	}
	var answered []kv.Read
	var named []string
	for i, r := range reads {
		u, failed := errors.AsType[*kv.Unavailable](r.Err)
		switch {
		case !failed:
			answered, named = append(answered, r), append(named, keys[i])
		case u.Outcome != kv.None:
			t.Fatalf("a get of a batch that failed has outcome %v, want none", u.Outcome)
		case r.Value != nil || r.Version == staleVersion:
			t.Fatalf("a get of a batch that failed has %q, %v", r.Value, r.Version)
		}
	}
	mustHaveRead(t, answered, want, named)
}
