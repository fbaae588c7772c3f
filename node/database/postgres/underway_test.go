//go:build postgres

package postgres

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"viakv/api/kv"
	"viakv/node/database/dbtest"
)

// TestLostTables: when its tables are dropped or emptied while it runs, the store serves nothing
// and says why.
func TestLostTables(t *testing.T) {
	db := server.Database(t)
	s := openOn(t, server.URL(db))
	server.Exec(t, db, `ALTER TABLE viakv_items RENAME TO elsewhere`)
	if _, _, err := s.Get(bg, nil, []byte("k"), kv.Options{}); dbtest.OutcomeOf(t, err) != kv.None || !strings.Contains(err.Error(), "tables") {
		t.Errorf("get: %v", err)
	}
	dbtest.Unready(t, s, "has lost viakv's tables")
	server.Exec(t, db, `ALTER TABLE elsewhere RENAME TO viakv_items`)
	dbtest.Ready(t, s)
	server.Exec(t, db, `DELETE FROM viakv_generation`)
	dbtest.Unready(t, s, "viakv_generation has lost its row")
	if err := s.Clear(bg, kv.Options{}); dbtest.OutcomeOf(t, err) != kv.None {
		t.Errorf("clear: %v", err)
	}
}

// TestSchemaChangesUnderway: a node is not ready while the database's schema is another than its
// own. It says what to run.
func TestSchemaChangesUnderway(t *testing.T) {
	db := server.Database(t)
	s := openOn(t, server.URL(db))
	server.Exec(t, db, `INSERT INTO viakv_migrations (version) VALUES (99)`)
	dbtest.Unready(t, s, "newer viakv")
	server.Exec(t, db, `DELETE FROM viakv_migrations WHERE version = 99`)
	dbtest.Ready(t, s)
	server.Exec(t, db, `UPDATE viakv_migrations SET version = 0`)
	dbtest.Unready(t, s, "older")
	server.Exec(t, db, `DELETE FROM viakv_migrations`)
	dbtest.Unready(t, s, "viakv_migrations")
}

// TestRightsLostUnderway: a node whose user may no longer write is not ready until the right is
// back.
func TestRightsLostUnderway(t *testing.T) {
	db := server.Database(t)
	openOn(t, server.URL(db))
	role := fmt.Sprintf("fallen%d", time.Now().UnixNano())
	server.Exec(t, db, fmt.Sprintf(`CREATE ROLE %s LOGIN PASSWORD 'pw'`, role),
		fmt.Sprintf(`GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO %s`, role))
	s := openOn(t, server.URLFor(role, "pw", db))
	server.Exec(t, db, fmt.Sprintf(`REVOKE INSERT ON viakv_items FROM %s`, role))
	dbtest.Unready(t, s, "lost the right")
	if _, err := s.Set(bg, []byte("k"), []byte("v"), kv.Options{}); dbtest.OutcomeOf(t, err) != kv.None || !strings.Contains(err.Error(), "lost the right") {
		t.Errorf("set: %v", err)
	}
	server.Exec(t, db, fmt.Sprintf(`GRANT INSERT ON viakv_items TO %s`, role))
	dbtest.Ready(t, s)
}

// TestPasswordChangedUnderway: broken connections are not replaced until the password fits again.
// The store says why.
func TestPasswordChangedUnderway(t *testing.T) {
	db := server.Database(t)
	role := fmt.Sprintf("changed%d", time.Now().UnixNano())
	server.Exec(t, db, fmt.Sprintf(`CREATE ROLE %s SUPERUSER LOGIN PASSWORD 'first-pw'`, role))
	s := openOn(t, server.URLFor(role, "first-pw", db))
	server.Exec(t, db, fmt.Sprintf(`ALTER ROLE %s PASSWORD 'second-pw'`, role),
		fmt.Sprintf(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '%s'`, role))
	dbtest.Unready(t, s, "refuses the user")
	_, err := s.Set(bg, []byte("k"), []byte("v"), kv.Options{})
	if dbtest.OutcomeOf(t, err) != kv.None || !strings.Contains(err.Error(), "refuses the user") || strings.Contains(err.Error(), "-pw") {
		t.Errorf("set: %v", err)
	}
	server.Exec(t, db, fmt.Sprintf(`ALTER ROLE %s PASSWORD 'first-pw'`, role))
	dbtest.Ready(t, s)
}
