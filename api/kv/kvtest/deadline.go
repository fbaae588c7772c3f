package kvtest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"viakv/api/kv"
)

// tolerance is how long after its deadline a call may return on a busy machine.
const tolerance = 2 * time.Second

// deadlines checks requests whose time is over. Each must answer soon, and what it says about its
// outcome must be true.
func deadlines(t testing.TB, open Open) {
	impatient(t, open(t), past)
	impatient(t, open(t), soon)
}

// cancellation makes the same checks with a deadline that comes from the caller's context.
func cancellation(t testing.TB, open Open) { impatient(t, open(t), cancelled) }

// deadlinesOfBatches checks batches whose time is over. Each value must have an outcome that is
// true.
func deadlinesOfBatches(t testing.TB, open Open) {
	impatientBatch(t, open(t), past)
	impatientBatch(t, open(t), soon)
}

// cancellationOfBatches makes the same check with a deadline that comes from the caller's context.
func cancellationOfBatches(t testing.TB, open Open) { impatientBatch(t, open(t), cancelled) }

func past() (context.Context, kv.Options) {
	return background, kv.Options{Deadline: time.Now().Add(-time.Second)}
}

func soon() (context.Context, kv.Options) {
	return background, kv.Options{Deadline: time.Now().Add(200 * time.Microsecond)}
}

func cancelled() (context.Context, kv.Options) {
	ctx, cancel := context.WithCancel(background)
	cancel()
	return ctx, kv.Options{}
}

func impatient(t testing.TB, s kv.Store, request func() (context.Context, kv.Options)) {
	t.Helper()
	mustSet(t, s, "k", "old")
	// timed runs one call and reports whether it failed. A failure must be one of the contract's,
	// and come in time.
	timed := func(what string, call func(context.Context, kv.Options) error) (failed bool, outcome kv.Outcome) {
		t.Helper()
		ctx, o := request()
		began := time.Now()
		err := call(ctx, o)
		if d := time.Since(began); d > tolerance {
			t.Fatalf("%s took %v behind its deadline", what, d)
		}
		if err == nil {
			return false, kv.Unknown
		}
		u, ok := errors.AsType[*kv.Unavailable](err)
		if !ok {
			t.Fatalf("%s: got %v, want Unavailable or success", what, err)
		}
		return true, u.Outcome
	}
	timed("get", func(ctx context.Context, o kv.Options) error {
		v, _, err := s.Get(ctx, nil, []byte("k"), o)
		if err == nil && string(v) != "old" {
			t.Fatalf("get: %q", v)
		}
		return err
	})
	timed("has", func(ctx context.Context, o kv.Options) error { _, err := s.Has(ctx, []byte("k"), o); return err })
	timed("scan", func(ctx context.Context, o kv.Options) error {
		sc, err := s.Scan(ctx, kv.ScanOptions{Options: o})
		if err != nil {
			return err
		}
		defer sc.Close()
		_, err = sc.Next(ctx, &kv.Batch{})
		return err
	})

	failed, outcome := timed("set", func(ctx context.Context, o kv.Options) error {
		_, err := s.Set(ctx, []byte("k"), []byte("new"), o)
		return err
	})
	v, _, err := s.Get(background, nil, []byte("k"), patient())
	switch {
	case err != nil:
		t.Fatal(err)
	case !failed && string(v) != "new":
		t.Fatalf("a set that succeeded left %q", v)
	case failed && outcome == kv.None && string(v) != "old":
		t.Fatalf("a set with outcome none left %q", v)
	}

	for _, c := range []struct {
		what, key string
		call      func(context.Context, kv.Options) error
	}{
		{"remove", "r", func(ctx context.Context, o kv.Options) error { return s.Remove(ctx, []byte("r"), o) }},
		{"clear", "c", s.Clear}, // a key of its own: a remove of unknown outcome may come later
	} {
		mustSet(t, s, c.key, "there")
		failed, outcome := timed(c.what, c.call)
		_, err := s.Has(background, []byte(c.key), patient())
		switch {
		case err != nil && !errors.Is(err, kv.ErrMissing):
			t.Fatal(err)
		case !failed && err == nil:
			t.Fatalf("a %s that succeeded left the key", c.what)
		case failed && outcome == kv.None && err != nil:
			t.Fatalf("a %s with outcome none removed the key", c.what)
		}
	}
}

func impatientBatch(t testing.TB, s kv.Store, request func() (context.Context, kv.Options)) {
	t.Helper()
	before, after := map[string]string{}, map[string]string{}
	for i := range 200 {
		k := fmt.Sprintf("key %d", i)
		before[k], after[k] = "old", "new"
	}
	mustSetMany(t, s, before)
	writes := batchOf(after)
	ctx, o := request()
	began := time.Now()
	s.SetMany(ctx, writes, o)
	if d := time.Since(began); d > tolerance {
		t.Fatalf("a batch took %v behind its deadline", d)
	}
	found := collect(t, s, kv.ScanOptions{Options: patient(), Values: true})
	for _, w := range writes {
		v := found[string(w.Key)]
		u, failed := errors.AsType[*kv.Unavailable](w.Err)
		switch {
		case w.Err != nil && !failed:
			t.Fatalf("a value of a batch: got %v, want Unavailable or success", w.Err)
		case !failed && v != "new":
			t.Fatalf("a value of a batch that succeeded left %q", v)
		case failed && u.Outcome == kv.None && v != "old":
			t.Fatalf("a value of a batch with outcome none left %q", v)
		case v != "old" && v != "new":
			t.Fatalf("a value of a batch left %q", v)
		}
	}
	mustEqual(t, found, before, false)
}
