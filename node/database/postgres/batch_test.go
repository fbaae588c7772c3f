//go:build postgres

package postgres

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"viakv/api/kv"
	"viakv/node/database/dbtest"
)

// batchOf returns a batch of the keys k0, k1 and so on, with one value.
func batchOf(n int, value string) []kv.Write {
	writes := make([]kv.Write, n)
	for i := range writes {
		writes[i] = kv.Write{Key: fmt.Appendf(nil, "k%d", i), Value: []byte(value)}
	}
	return writes
}

// TestBatchesWaitInOneOrder: batches of the same keys in different orders do not lock each other
// out (P7). A lockout would only show as a delay, because the server ends it and the store tries
// again. So the test asks the server.
func TestBatchesWaitInOneOrder(t *testing.T) {
	url := server.URL(server.Database(t))
	s, err := Open(bg, Config{URL: url, Name: "batches"})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for w := range 6 {
		wg.Go(func() {
			for round := range 40 {
				writes := batchOf(300, fmt.Sprint(w, round))
				rand.Shuffle(len(writes), func(i, j int) { writes[i], writes[j] = writes[j], writes[i] })
				s.SetMany(bg, writes, kv.Options{Deadline: time.Now().Add(time.Minute)})
				if err := writes[0].Err; err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	s.Close()
	other := openOn(t, url)
	count := func(sql string) (n int) {
		t.Helper()
		if err := other.pool.QueryRow(bg, sql).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	// A session reports its count when it ends, if not before.
	dbtest.Eventually(t, "the sessions end", func() bool {
		return count(`SELECT count(*) FROM pg_stat_activity WHERE application_name = 'viakv batches'`) == 0
	})
	if n := count(`SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()`); n != 0 {
		t.Errorf("%d batches were locked out by others", n)
	}
}

// TestManyGetsShareOneError: where the statement fails, no key has a value, and all have the same
// error (P8).
func TestManyGetsShareOneError(t *testing.T) {
	db := server.Database(t)
	s := openOn(t, server.URL(db))
	writes := batchOf(5, "v")
	if s.SetMany(bg, writes, kv.Options{}); writes[0].Err != nil {
		t.Fatal(writes[0].Err)
	}
	get := func() (batch []kv.Read) {
		for i := range 6 {
			batch = append(batch, kv.Read{Key: fmt.Appendf(nil, "k%d", i)})
		}
		s.GetMany(bg, nil, batch, kv.Options{Deadline: time.Now().Add(1500 * time.Millisecond)})
		return batch
	}
	for i, r := range get() {
		if i < 5 && (r.Err != nil || string(r.Value) != "v") || i == 5 && (!errors.Is(r.Err, kv.ErrMissing) || r.Value != nil) {
			t.Errorf("key %d: %q, %v", i, r.Value, r.Err)
		}
	}
	server.Exec(t, db, `ALTER TABLE viakv_items RENAME TO elsewhere`)
	failed := get()
	for i, r := range failed {
		if r.Value != nil || r.Err != failed[0].Err || dbtest.OutcomeOf(t, r.Err) != kv.None {
			t.Errorf("key %d without the table: %q, %v", i, r.Value, r.Err)
		}
	}
}

// TestBatchSharesOneOutcome: where one value of a batch cannot be stored, none is, and all have the
// same outcome (P7).
func TestBatchSharesOneOutcome(t *testing.T) {
	db := server.Database(t)
	s := openOn(t, server.URL(db))
	server.Exec(t, db, `ALTER TABLE viakv_items ADD CONSTRAINT no_k3 CHECK (key <> 'k3')`)
	outcome := func(writes []kv.Write) kv.Outcome {
		t.Helper()
		s.SetMany(bg, writes, kv.Options{Deadline: time.Now().Add(1500 * time.Millisecond)})
		for i, w := range writes {
			if w.Err != writes[0].Err {
				t.Errorf("value %d: %v, and the first: %v", i, w.Err, writes[0].Err)
			}
		}
		return dbtest.OutcomeOf(t, writes[0].Err)
	}
	refused := batchOf(5, "v")
	if o := outcome(refused); o != kv.None {
		t.Errorf("a value that the table refuses: outcome %v", o)
	}
	for _, w := range refused {
		if _, err := s.Has(bg, w.Key, kv.Options{}); !errors.Is(err, kv.ErrMissing) {
			t.Errorf("%s has outcome none: %v", w.Key, err)
		}
	}

	// Another session holds the row of one value until the deadline.
	writes := batchOf(3, "old")
	if s.SetMany(bg, writes, kv.Options{}); writes[0].Err != nil {
		t.Fatal(writes[0].Err)
	}
	other := openOn(t, server.URL(db))
	tx, err := other.pool.Begin(bg)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(bg, `SELECT 1 FROM viakv_items WHERE key = 'k1' FOR UPDATE`); err != nil {
		t.Fatal(err)
	}
	o := outcome(batchOf(3, "new"))
	if err := tx.Rollback(bg); err != nil {
		t.Fatal(err)
	}
	for _, w := range writes {
		if v, _, err := s.Get(bg, nil, w.Key, kv.Options{}); err != nil || o == kv.None && string(v) != "old" {
			t.Errorf("%s behind a batch with outcome %v: %q, %v", w.Key, o, v, err)
		}
	}

	server.Exec(t, db, `DELETE FROM viakv_generation`)
	if o := outcome(batchOf(3, "newest")); o != kv.None {
		t.Errorf("without the row of viakv_generation: outcome %v", o)
	}
}
