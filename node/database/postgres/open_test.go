//go:build postgres

package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"viakv/api/kv"
	"viakv/node/database/dbtest"
	"viakv/node/database/postgres/pgtest"
)

// TestOpenSaysWhatIsWrong: each mistake has an error of its own, and no error holds the password.
// Open does not wait where waiting is pointless.
func TestOpenSaysWhatIsWrong(t *testing.T) {
	db := server.Database(t)
	openOn(t, server.URL(db))
	newer := server.Database(t)
	openOn(t, server.URL(newer))
	server.Exec(t, newer, `INSERT INTO viakv_migrations (version) VALUES (99)`)
	foreign := server.Database(t)
	server.Exec(t, foreign, `CREATE TABLE viakv_items (id INT)`)
	emptied := server.Database(t)
	openOn(t, server.URL(emptied))
	server.Exec(t, emptied, `DELETE FROM viakv_generation`)
	role := fmt.Sprintf("reader%d", time.Now().UnixNano())
	server.Exec(t, db, fmt.Sprintf(`CREATE ROLE %s LOGIN PASSWORD 'reader-pw'`, role),
		fmt.Sprintf(`GRANT SELECT ON ALL TABLES IN SCHEMA public TO %s`, role))
	standby := fmt.Sprintf("standby%d", time.Now().UnixNano())
	server.Exec(t, db, fmt.Sprintf(`CREATE ROLE %s SUPERUSER LOGIN PASSWORD 'reader-pw'`, standby),
		fmt.Sprintf(`ALTER ROLE %s SET default_transaction_read_only = on`, standby))
	fresh := server.Database(t)

	silent, err := dbtest.FreePort()
	if err != nil {
		t.Fatal(err)
	}

	const secret = "wr0ng%@/pass"
	for _, c := range []struct{ name, url, want string }{
		{"no URL", "", "cannot be read"},
		{"other scheme", "mysql://root:wr0ng@localhost/x", "cannot be read"},
		{"unescaped password", "postgres://viakv:wr0ng%@/pass@127.0.0.1:5432/x", "percent codes"},
		{"no database", fmt.Sprintf("postgres://viakv:x@127.0.0.1:%d", server.Port), "names no database"},
		{"bad option", server.URL(db) + "&sslmode=perhaps", "option"},
		{"bad pool", server.URL(db) + "&pool_max_conns=many", "option"},
		{"wrong password", server.URLFor("viakv", secret, db), "wrong password"},
		{"unknown user", server.URLFor("nobody", secret, db), "refuses user"},
		{"missing database", server.URL("nosuch"), `no database "nosuch"`},
		{"newer schema", server.URL(newer), "newer"},
		{"foreign tables", server.URL(foreign), "not viakv's"},
		{"lost generation", server.URL(emptied), "viakv_generation"},
		{"reader", server.URLFor(role, "reader-pw", db), "may not write"},
		{"reader without tables", server.URLFor(role, "reader-pw", fresh), "may not create"},
		{"read-only", server.URLFor(standby, "reader-pw", db), "read-only"},
		{"nobody there", fmt.Sprintf("postgres://viakv:%s@127.0.0.1:%d/x", "wr0ng", silent), "cannot be reached"},
	} {
		t.Run(c.name, func(t *testing.T) {
			began, patience := time.Now(), time.Minute
			waited := c.name == "nobody there" || c.name == "read-only" // a failover may be under way
			if waited {
				patience = 3 * time.Second
			}
			ctx, cancel := context.WithTimeout(bg, patience)
			defer cancel()
			s, err := Open(ctx, Config{URL: c.url})
			if err == nil {
				s.Close()
				t.Fatal("opened")
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %q, want it to say %q", err, c.want)
			}
			for _, leak := range []string{secret, "wr0ng", pgtest.Password, "s3cr", "reader-pw"} {
				if strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err.Error()), leak) {
					t.Errorf("the error shows %q: %v", leak, err)
				}
			}
			if d := time.Since(began); !waited && d > 15*time.Second {
				t.Errorf("took %v: a refusal is not waited out", d)
			}
		})
	}
}

// TestOpenWithoutRightToCreate: where the tables are there already, the user needs no right to
// create tables.
func TestOpenWithoutRightToCreate(t *testing.T) {
	db := server.Database(t)
	openOn(t, server.URL(db))
	role := fmt.Sprintf("writer%d", time.Now().UnixNano())
	server.Exec(t, db, fmt.Sprintf(`CREATE ROLE %s LOGIN PASSWORD 'pw'`, role),
		// The same rights as in docs/databases.md.
		fmt.Sprintf(`GRANT SELECT, INSERT, UPDATE, DELETE ON viakv_items TO %s`, role),
		fmt.Sprintf(`GRANT SELECT, UPDATE ON viakv_generation, viakv_collector TO %s`, role),
		fmt.Sprintf(`GRANT SELECT ON viakv_migrations TO %s`, role))
	s := openOn(t, server.URLFor(role, "pw", db))
	if _, err := s.Set(bg, []byte("k"), []byte("v"), kv.Options{}); err != nil {
		t.Fatal(err)
	}
	if err := s.Clear(bg, kv.Options{}); err != nil {
		t.Fatal(err)
	}
	dbtest.Eventually(t, "garbage collected", func() bool { return s.Stats().Collected == 1 })
	if err := s.Ready(bg); err != nil {
		t.Fatal(err)
	}
}

// TestOpenWaits: Open waits for a database that is still starting.
func TestOpenWaits(t *testing.T) {
	own, err := pgtest.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	own.Kill()
	opened := make(chan error, 1)
	go func() {
		s, err := Open(bg, Config{URL: own.URL("postgres")})
		if err == nil {
			s.Close()
		}
		opened <- err
	}()
	if err := own.Restart(); err != nil {
		t.Fatal(err)
	}
	if err := <-opened; err != nil {
		t.Fatal(err)
	}
}

// TestMigrationsAtOnce: eight nodes start on an empty database at the same time, with and without a
// lock that works.
func TestMigrationsAtOnce(t *testing.T) {
	const nodes = 8
	for _, locked := range []bool{true, false} {
		t.Run(fmt.Sprintf("locked=%v", locked), func(t *testing.T) {
			for range 5 {
				db := server.Database(t)
				var wg sync.WaitGroup
				errs := make([]error, nodes)
				start := make(chan struct{})
				for i := range nodes {
					wg.Go(func() {
						<-start
						errs[i] = migrateOnce(t, db, locked)
					})
				}
				close(start)
				wg.Wait()
				if err := errors.Join(errs...); err != nil {
					t.Fatal(err)
				}
				one, other := openOn(t, server.URL(db)), openOn(t, server.URL(db))
				if _, err := one.Set(bg, []byte("k"), []byte("v"), kv.Options{}); err != nil {
					t.Fatal(err)
				}
				if c := one.seal.Cursor(1, []byte("k")); c != other.seal.Cursor(1, []byte("k")) {
					t.Fatal("the nodes seal cursors with different keys")
				}
				var rows int
				if err := one.pool.QueryRow(bg, `SELECT (SELECT count(*) FROM viakv_generation) * 100 + (SELECT count(*) FROM viakv_migrations)`).Scan(&rows); err != nil || rows != 101 {
					t.Fatalf("rows of generation and migrations: %d, %v", rows, err)
				}
			}
		})
	}
}
