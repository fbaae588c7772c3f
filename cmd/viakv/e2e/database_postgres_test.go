//go:build postgres

package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"

	"viakv/cmd/viakv/viakvtest"
	"viakv/node/database/postgres/pgtest"
)

func newPostgres(t *testing.T) *pgtest.Server {
	t.Helper()
	s, err := pgtest.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// postgresSecrets are the superuser's password in its spellings, and the passwords of the tests'
// own users.
var postgresSecrets = []string{pgtest.Password, url.QueryEscape(pgtest.Password), url.PathEscape(pgtest.Password), "s3cr", "hunter2"}

func TestTwoNodesOnPostgreSQL(t *testing.T) {
	s := newPostgres(t)
	// As docs/databases.md says: a user that owns its database and nothing else.
	s.Exec(t, "postgres", `CREATE ROLE owner LOGIN PASSWORD 'hunter2'`, `CREATE DATABASE kv OWNER owner`)
	twoNodes(t, realDatabase{
		url: s.URLFor("owner", "hunter2", "kv"), secrets: postgresSecrets, mode: "postgresql",
		stop: s.Kill,
		restart: func() {
			if err := s.Restart(); err != nil {
				t.Fatal(err)
			}
		},
	})
}

func TestWhatIsWrongWithPostgreSQL(t *testing.T) {
	t.Parallel() // most of the time it waits for a server that is not there
	s := newPostgres(t)
	db, newer := s.Database(t), s.Database(t)
	for _, name := range []string{db, newer} {
		p := startOn(t, s.URL(name), "--name", "first")
		p.Serves()
	}
	s.Exec(t, newer, `INSERT INTO viakv_migrations (version) VALUES (99)`)
	s.Exec(t, db, `CREATE ROLE reader LOGIN PASSWORD 'hunter2'`, `GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader`)
	refuses(t, postgresSecrets, []badStart{
		{"wrong password", s.URLFor("viakv", "hunter2", db), "wrong password"},
		{"wrong database", s.URL("nosuch"), `there is no database "nosuch"`},
		{"no database", fmt.Sprintf("postgres://viakv:hunter2@127.0.0.1:%d/", s.Port), "names no database"},
		{"unreachable", "postgres://viakv:hunter2@" + viakvtest.FreeAddress(t) + "/kv", "cannot be reached"},
		{"newer schema", s.URL(newer), "newer than this program"},
		{"read-only user", s.URLFor("reader", "hunter2", db), "may not write"},
		{"misspelt option", s.URL(db) + "&sslmode=perhaps", "an option in the store's URL is wrong"},
		{"unescaped password", "postgres://viakv:hunter2%@127.0.0.1/kv", "percent codes"},
		{"misspelt scheme", "postgers://viakv:hunter2@127.0.0.1/kv", "--store: want memory"},
	})
}

// TestRightsLostOnPostgreSQL makes a user read-only under a running node. The node is then not
// ready, and /readyz says why.
func TestRightsLostOnPostgreSQL(t *testing.T) {
	s := newPostgres(t)
	db := s.Database(t)
	startOn(t, s.URL(db), "--name", "first").Serves()
	s.Exec(t, db, `CREATE ROLE writer LOGIN PASSWORD 'hunter2'`, `GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO writer`)
	address := startOn(t, s.URLFor("writer", "hunter2", db), "--name", "second").Serves()
	viakvtest.Expect(t, http.StatusOK, "", address, "/set", "k", "color", "v", "green")
	s.Exec(t, db, `REVOKE INSERT, UPDATE, DELETE ON viakv_items FROM writer`)
	viakvtest.AwaitStatus(t, http.StatusServiceUnavailable, address, "/readyz")
	says(t, http.StatusServiceUnavailable, "lost the right", address, "/readyz")
	says(t, http.StatusServiceUnavailable, "lost the right", address, "/set", "k", "color", "v", "red")
	s.Exec(t, db, `GRANT INSERT, UPDATE, DELETE ON viakv_items TO writer`)
	viakvtest.AwaitStatus(t, http.StatusOK, address, "/readyz")
	viakvtest.Expect(t, http.StatusOK, "green", address, "/get", "k", "color")
}
