package kvtest

import (
	"context"
	"errors"
	"testing"
	"time"

	"viakv/api/kv"
)

// Open returns a new, empty store that shares nothing with any other. It registers with t what must
// be closed.
type Open func(t testing.TB) kv.Store

// check is one rule of the contract.
type check struct {
	name string
	run  func(t testing.TB, open Open)
}

// checks are all rules, the simple ones first: their failures explain those of later ones.
var checks = []check{
	{"Contract", contract},
	{"Versions", versions},
	{"BorrowedSlices", borrowedSlices},
	{"OddKeysAndValues", oddKeysAndValues},
	{"Batches", batches},
	{"BorrowedBatches", borrowedBatches},
	{"ManyGets", manyGets},
	{"VersionsOfManyGets", versionsOfManyGets},
	{"BorrowedReads", borrowedReads},
	{"AgainstMap", againstMap},
	{"Scan", scanAll},
	{"ScanPrefix", scanPrefix},
	{"ScanPages", scanPages},
	{"ScanUnderWrites", scanUnderWrites},
	{"Snapshot", snapshotQuiet},
	{"SnapshotUnderWrites", snapshotUnderWrites},
	{"ForgedCursors", forgedCursors},
	{"ForeignCursor", foreignCursor},
	{"Clear", clearAll},
	{"ClearDuringScan", clearDuringScan},
	{"ClearUnderLoad", clearUnderLoad},
	{"OverlappingRemoves", overlappingRemoves},
	{"RemovesAndSets", removesAndSets},
	{"ReadsGrow", readsGrow},
	{"OverlappingBatches", overlappingBatches},
	{"RemovesAndBatches", removesAndBatches},
	{"BatchesGrow", batchesGrow},
	{"ManyGetsGrow", manyGetsGrow},
	{"Deadlines", deadlines},
	{"Cancellation", cancellation},
	{"DeadlinesOfBatches", deadlinesOfBatches},
	{"CancellationOfBatches", cancellationOfBatches},
	{"DeadlinesOfManyGets", deadlinesOfManyGets},
	{"CancellationOfManyGets", cancellationOfManyGets},
}

// Run checks the contract, each rule in a subtest with a store of its own.
func Run(t *testing.T, open func(t *testing.T) kv.Store) {
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) {
			c.run(t, func(testing.TB) kv.Store { return open(t) })
		})
	}
}

// patience is the deadline of a request that must succeed. A store under test may be slow, but must
// not hang.
const patience = 20 * time.Second

func patient() kv.Options { return kv.Options{Deadline: time.Now().Add(patience)} }

var background = context.Background()

func mustSet(t testing.TB, s kv.Store, key, value string) {
	t.Helper()
	if _, err := s.Set(background, []byte(key), []byte(value), patient()); err != nil {
		t.Fatalf("set %q: %v", key, err)
	}
}

func mustGet(t testing.TB, s kv.Store, key, want string) {
	t.Helper()
	got, _, err := s.Get(background, nil, []byte(key), patient())
	if err != nil {
		t.Fatalf("get %q: %v, want %q", key, err, want)
	}
	if string(got) != want {
		t.Fatalf("get %q: got %q, want %q", key, got, want)
	}
}

func mustRemove(t testing.TB, s kv.Store, key string) {
	t.Helper()
	if err := s.Remove(background, []byte(key), patient()); err != nil {
		t.Fatalf("remove %q: %v", key, err)
	}
}

func mustClear(t testing.TB, s kv.Store) {
	t.Helper()
	if err := s.Clear(background, patient()); err != nil {
		t.Fatalf("clear: %v", err)
	}
}

// mustMiss checks that Get and Has miss a key.
func mustMiss(t testing.TB, s kv.Store, key string) {
	t.Helper()
	if v, _, err := s.Get(background, nil, []byte(key), patient()); !errors.Is(err, kv.ErrMissing) {
		t.Fatalf("get %q: got %q, %v, want ErrMissing", key, v, err)
	}
	if _, err := s.Has(background, []byte(key), patient()); !errors.Is(err, kv.ErrMissing) {
		t.Fatalf("has %q: got %v, want ErrMissing", key, err)
	}
}

// collect reads a scan to its end. It fails when a key comes twice or a batch is empty.
func collect(t testing.TB, s kv.Store, o kv.ScanOptions) map[string]string {
	t.Helper()
	found, err := tryCollect(t, s, o)
	if err != nil {
		t.Fatalf("scan: %v", err)
	}
	return found
}

func tryCollect(t testing.TB, s kv.Store, o kv.ScanOptions) (map[string]string, error) {
	t.Helper()
	return collectSlowly(t, s, o, func() {})
}

// collectSlowly is tryCollect with a call of between after each batch.
func collectSlowly(t testing.TB, s kv.Store, o kv.ScanOptions, between func()) (map[string]string, error) {
	t.Helper()
	sc, err := s.Scan(background, o)
	if err != nil {
		return nil, err
	}
	defer sc.Close()
	found := map[string]string{}
	var b kv.Batch
	for {
		more, err := sc.Next(background, &b)
		if err != nil {
			return found, err
		}
		if !more {
			break
		}
		if len(b.Pairs) == 0 {
			t.Fatal("next: an empty batch with true")
		}
		for _, p := range b.Pairs {
			if _, twice := found[string(p.Key)]; twice {
				t.Fatalf("scan: key %q came twice", p.Key)
			}
			if !o.Values && p.Value != nil {
				t.Fatalf("scan of keys: %q came with a value", p.Key)
			}
			found[string(p.Key)] = string(p.Value)
		}
		between()
	}
	if more, err := sc.Next(background, &b); more || err != nil {
		t.Fatalf("next behind the end: %v, %v, want false", more, err)
	}
	if c := sc.Cursor(0); c != "" {
		t.Fatalf("cursor at the end: %q, want none", c)
	}
	return found, nil
}

// mustEqual compares what was found with what should be there.
func mustEqual(t testing.TB, found, want map[string]string, values bool) {
	t.Helper()
	for k, v := range want {
		got, ok := found[k]
		if !ok {
			t.Fatalf("key %q is missing (%d of %d found)", k, len(found), len(want))
		}
		if values && got != v {
			t.Fatalf("key %q: got %q, want %q", k, got, v)
		}
	}
	for k := range found {
		if _, ok := want[k]; !ok {
			t.Fatalf("key %q should not be there", k)
		}
	}
}

// fill sets all pairs, several at a time.
func fill(t testing.TB, s kv.Store, pairs map[string]string) {
	t.Helper()
	parallel(t, 16, pairs, func(k, v string) error {
		_, err := s.Set(background, []byte(k), []byte(v), patient())
		return err
	})
}
