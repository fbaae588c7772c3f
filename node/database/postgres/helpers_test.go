//go:build postgres

package postgres

import (
	"context"
	"testing"
	"time"

	"viakv/api/kv"

	"github.com/jackc/pgx/v5"
)

// migrateOnce migrates a database on a connection of its own.
func migrateOnce(t testing.TB, db string, locked bool) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(bg, time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, server.URL(db))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	return migrate(ctx, conn, locked)
}

// fillRows adds the rows 1 to n to the present generation, as sets would have done.
func fillRows(t testing.TB, s *Store, n int) {
	t.Helper()
	fillMore(t, s, 1, n)
}

func fillMore(t testing.TB, s *Store, from, to int) {
	t.Helper()
	_, err := s.pool.Exec(bg, `INSERT INTO viakv_items (generation, key, value)
SELECT generation, convert_to('key ' || lpad(i::text, 9, '0'), 'UTF8'), convert_to('value of the key with the number ' || i, 'UTF8')
FROM viakv_generation, generate_series($1::int, $2::int) i`, from, to)
	if err != nil {
		t.Fatal(err)
	}
}

// countRows counts the rows of all generations.
func countRows(t testing.TB, s *Store) (n int) {
	t.Helper()
	if err := s.pool.QueryRow(bg, `SELECT count(*) FROM viakv_items`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// drain counts the pairs that remain of a scan. It calls between after each batch.
func drain(t testing.TB, sc kv.Scanner, between func()) (pairs int) {
	t.Helper()
	for b := new(kv.Batch); ; between() {
		more, err := sc.Next(bg, b)
		if err != nil {
			t.Fatal(err)
		}
		if !more {
			return pairs
		}
		pairs += len(b.Pairs)
	}
}
