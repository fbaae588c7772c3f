//go:build postgres

package postgres

import (
	"errors"
	"testing"
	"time"

	"viakv/api/kv"
	"viakv/api/kv/kvtest"
	"viakv/node/database/dbtest"
	"viakv/node/database/stateless"
)

// TestClearIsOneRow: a clear touches no row of an item, so it does not wait for a session that
// holds them all. The collector deletes the garbage in the background, and does not touch what was
// written since.
func TestClearIsOneRow(t *testing.T) {
	const rows = 50_000
	s := openFresh(t)
	fillRows(t, s, rows)
	tx, err := s.pool.Begin(bg)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(bg, `SELECT 1 FROM viakv_items FOR UPDATE`); err != nil {
		t.Fatal(err)
	}
	if err := s.Clear(bg, kv.Options{Deadline: time.Now().Add(20 * time.Second)}); err != nil {
		t.Fatal(err)
	}
	if err := tx.Rollback(bg); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Has(bg, []byte("key 000000001"), kv.Options{}); !errors.Is(err, kv.ErrMissing) {
		t.Fatalf("has: %v", err)
	}
	if _, err := s.Set(bg, []byte("key 000000001"), []byte("new"), kv.Options{}); err != nil {
		t.Fatal(err)
	}
	dbtest.Eventually(t, "garbage collected", func() bool { return countRows(t, s) == 1 })
	if v, _, err := s.Get(bg, nil, []byte("key 000000001"), kv.Options{}); err != nil || string(v) != "new" {
		t.Fatalf("got %q, %v", v, err)
	}
	if n := s.Stats().Collected; n != rows {
		t.Errorf("%d rows collected, want %d", n, rows)
	}
}

// TestOneCollector: while one node deletes, other nodes do not. A node that died loses its claim.
func TestOneCollector(t *testing.T) {
	db := server.Database(t)
	s := openOn(t, server.URL(db))
	if ok, err := s.claim(bg, "one"); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if ok, err := s.claim(bg, "one"); !ok || err != nil {
		t.Fatal("the holder cannot renew", ok, err)
	}
	if ok, err := s.claim(bg, "two"); ok || err != nil {
		t.Fatal("two holders", ok, err)
	}
	fillRows(t, s, 10)
	server.Exec(t, db, `UPDATE viakv_generation SET generation = generation + 1`)
	if err := s.collectGarbage(bg, "two"); err != nil || countRows(t, s) != 10 {
		t.Fatal("a node without the claim collected", err)
	}
	server.Exec(t, db, `UPDATE viakv_collector SET until = now() - INTERVAL '1 second'`)
	if err := s.collectGarbage(bg, "two"); err != nil || countRows(t, s) != 0 {
		t.Fatal("a claim outlived its holder", err)
	}
	if ok, err := s.claim(bg, "three"); !ok || err != nil {
		t.Fatal("a claim was not released", ok, err)
	}
}

// TestSnapshotIsOneState: a snapshot keeps showing its state while keys are written, removed,
// cleared and collected.
func TestSnapshotIsOneState(t *testing.T) {
	const rows = 2 * stateless.FullPage
	s := openFresh(t)
	fillRows(t, s, rows)
	sc, err := s.Scan(bg, kv.ScanOptions{Values: true, Snapshot: true})
	if err != nil {
		t.Fatal(err)
	}
	defer sc.Close()
	if _, err := s.Set(bg, []byte("zzz"), []byte("new"), kv.Options{}); err != nil {
		t.Fatal(err)
	}
	if err := s.Remove(bg, []byte("key 000008000"), kv.Options{}); err != nil {
		t.Fatal(err)
	}
	if err := s.Clear(bg, kv.Options{}); err != nil {
		t.Fatal(err)
	}
	dbtest.Eventually(t, "garbage collected", func() bool { return countRows(t, s) == 0 })
	if n := drain(t, sc, func() {}); n != rows {
		t.Fatalf("the snapshot shows %d rows, want %d", n, rows)
	}
}

// TestSnapshotsAreBounded: snapshots hold connections, so they may take only a part of the pool.
// Closing a snapshot gives its connection back.
func TestSnapshotsAreBounded(t *testing.T) {
	s := openOn(t, server.URL(server.Database(t))+"&pool_max_conns=4")
	first, err := s.Scan(bg, kv.ScanOptions{Snapshot: true})
	if err != nil {
		t.Fatal(err)
	}
	var u *kv.Unavailable
	if _, err := s.Scan(bg, kv.ScanOptions{Snapshot: true}); !errors.As(err, &u) || u.Outcome != kv.None || u.RetryAfter == 0 {
		t.Fatalf("a second snapshot: %v", err)
	}
	if _, err := s.Scan(bg, kv.ScanOptions{Snapshot: true, Cursor: "x"}); !errors.As(err, new(*kv.ArgumentError)) {
		t.Fatalf("a snapshot with a cursor: %v", err)
	}
	first.Close()
	for range 5 {
		sc, err := s.Scan(bg, kv.ScanOptions{Snapshot: true})
		if err != nil {
			t.Fatal(err)
		}
		sc.Close()
	}
	if n := s.pool.Stat().AcquiredConns(); n != 0 {
		t.Fatalf("%d connections are still held", n)
	}
	late, err := s.beginSnapshot(bg)
	if err != nil {
		t.Fatal(err)
	}
	late.until = time.Now().Add(-time.Second)
	if err := late.run(bg, time.Now().Add(time.Second), nil); dbtest.OutcomeOf(t, err) != kv.None {
		t.Fatal(err)
	}
	late.end()
}

// TestMillionRows: a scan of a million rows keeps no more than a few pages in memory. A clear of
// that size under load writes one row, and the collector deletes the garbage beside the writers.
func TestMillionRows(t *testing.T) {
	const rows = 1_000_000
	s := openFresh(t)
	fillRows(t, s, rows)
	kvtest.ScanIsFlat(t, s, rows, 48<<20)
	kvtest.LargeClear(t, s, func() {
		dbtest.Eventually(t, "garbage is collected beside the writers", func() bool { return s.Stats().Collected >= 10*collectRows })
	})
}
