//go:build postgres

package postgres

import (
	"fmt"
	"testing"
	"time"

	"viakv/api/kv"
	"viakv/api/kv/kvtest"
	"viakv/node/database/stateless"
)

// The benchmarks compare the store with the raw driver, which runs the same statements on the same
// pool.

const benchKeys = 100_000

// benchStore returns a store with benchKeys rows.
func benchStore(b *testing.B) *Store {
	b.Helper()
	s := openOn(b, server.URL(server.Database(b))+"&pool_max_conns=64")
	fillRows(b, s, benchKeys)
	if _, err := s.pool.Exec(bg, `VACUUM ANALYZE viakv_items`); err != nil {
		b.Fatal(err)
	}
	return s
}

func benchKeyList() (keys [][]byte) {
	for n := range benchKeys {
		keys = append(keys, fmt.Appendf(nil, "key %09d", 1+n))
	}
	return keys
}

func BenchmarkSingle(b *testing.B) {
	s := benchStore(b)
	value, keys := []byte("a value of some forty characters, no less"), benchKeyList()
	for _, n := range []int{1, 64} {
		b.Run(fmt.Sprintf("get/clients=%d", n), func(b *testing.B) {
			kvtest.CompareSingle(b, n, keys, func(key []byte) error {
				var v []byte
				return s.pool.QueryRow(bg, getStatement, key).Scan(&v)
			}, func(key []byte) error {
				_, _, err := s.Get(bg, nil, key, kv.Options{})
				return err
			})
		})
		b.Run(fmt.Sprintf("set/clients=%d", n), func(b *testing.B) {
			kvtest.CompareSingle(b, n, keys, func(key []byte) error {
				_, err := s.pool.Exec(bg, setStatement, key, value)
				return err
			}, func(key []byte) error {
				_, err := s.Set(bg, key, value, kv.Options{})
				return err
			})
		})
	}
}

// BenchmarkScan walks over a million rows by keyset pages, keys and values.
func BenchmarkScan(b *testing.B) {
	const rows = 1_000_000
	s := benchStore(b)
	fillMore(b, s, benchKeys+1, rows)
	kvtest.Compare(b, rows, "row/s",
		func() time.Duration { return scanRaw(b, s, rows) },
		func() time.Duration { return kvtest.TimeScan(b, s, rows) })
}

func scanRaw(b *testing.B, s *Store, want int) time.Duration {
	b.Helper()
	began := time.Now()
	n, from := 0, []byte{}
	for page := stateless.FullPage; page == stateless.FullPage; {
		page = 0
		r, err := s.pool.Query(bg, `SELECT key, value FROM viakv_items WHERE generation = 1 AND key > $1 ORDER BY key LIMIT $2`, from, stateless.FullPage)
		if err != nil {
			b.Fatal(err)
		}
		var k, v []byte
		for r.Next() {
			if err := r.Scan(&k, &v); err != nil {
				b.Fatal(err)
			}
			page++
		}
		r.Close()
		if r.Err() != nil {
			b.Fatal(r.Err())
		}
		n += page
		from = k
	}
	if n != want {
		b.Fatalf("%d rows", n)
	}
	return time.Since(began)
}
