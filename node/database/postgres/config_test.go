package postgres

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

func TestPoolConfig(t *testing.T) {
	for _, c := range []struct {
		url  string
		want int32
	}{
		{"postgres://u:p@h:1/db", defaultConnections},
		{"postgres://u:p@h:1/db?pool_max_conns=7", 7},
		{"postgresql:///db?host=/run/postgresql", defaultConnections},
	} {
		p, _, err := Config{URL: c.url}.pool()
		if err != nil {
			t.Fatalf("%s: %v", c.url, err)
		}
		if p.MaxConns != c.want || p.MaxConnLifetimeJitter == 0 || p.ConnConfig.ConnectTimeout == 0 || p.ConnConfig.ValidateConnect == nil {
			t.Errorf("%s: %+v", c.url, p)
		}
	}
}

// TestPoolConfigRefuses: a URL that cannot be used is refused. The error quotes nothing of it,
// because any part may belong to the password.
func TestPoolConfigRefuses(t *testing.T) {
	for _, url := range []string{
		"", "x", "mongodb://u:hunter2@h/db", "postgres://", "postgres:///db", "postgres://u:hunter2@h:1", "postgres://u:hunter2@h:1/",
		"postgres://u:hunter2/x@h:1/db", "postgres://u:hunter2@h:port/db", "postgres://u:%zzhunter2@h:1/db",
		"postgres://u:hunter2@h:1/db?sslmode=hunter3", "postgres://u@h:1/db?password=hunter2&sslmode=x",
		"postgres://u:p@h:1/db?sslpassword=hunter2&pool_max_conns=x", "postgres://u:hunter2@h:1/db?pool_max_conns=0",
	} {
		_, _, err := Config{URL: url}.pool()
		if err == nil {
			t.Errorf("%q is taken", url)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: the error shows the password: %v", url, err)
		}
		if _, err := Open(context.Background(), Config{URL: url}); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: open: %v", url, err)
		}
	}
}

type unsent struct{ error }

func (unsent) SafeToRetry() bool { return true }

// TestEffects: only what is certain counts as nothing (P3).
func TestEffects(t *testing.T) {
	server := func(severity, code string) error {
		return fmt.Errorf("wrapped: %w", &pgconn.PgError{Severity: severity, SeverityUnlocalized: severity, Code: code})
	}
	for _, c := range []struct {
		err  error
		want effect
	}{
		{server("ERROR", serializationFailure), transient},
		{server("ERROR", deadlockDetected), transient},
		{server("ERROR", queryCanceled), transient},
		{server("ERROR", completionUnknown), open},
		{server("ERROR", "08006"), open},
		{server("FATAL", "57P01"), open},
		{server("PANIC", "XX000"), open},
		{server("ERROR", noPrivilege), nothing},
		{server("ERROR", readOnlyTransaction), nothing},
		{&pgconn.PgError{Severity: "FATALE", Code: "57P01"}, open}, // an old server with localized severity
		{unsent{io.EOF}, transient},
		{io.ErrUnexpectedEOF, open},
		{context.DeadlineExceeded, open},
	} {
		if got := effectOf(c.err); got != c.want {
			t.Errorf("%v: %d, want %d", c.err, got, c.want)
		}
	}
}

func TestReasons(t *testing.T) {
	seen := map[string]bool{}
	for _, code := range []string{readOnlyTransaction, undefinedTable, noPrivilege, diskFull, serializationFailure, queryCanceled, invalidPassword,
		unknownDatabase, tooManyConnections, cannotConnectNow, "22000"} {
		r := reasonOf(&pgconn.PgError{Code: code})
		if r == "" || seen[r] {
			t.Errorf("%s: %q", code, r)
		}
		seen[r] = true
	}
	if r := reasonOf(io.ErrUnexpectedEOF); r != "the database did not answer" {
		t.Errorf("a broken connection: %q", r)
	}
}

func TestMigrationsAreNumbered(t *testing.T) {
	all, err := migrations()
	if err != nil || len(all) == 0 {
		t.Fatal(all, err)
	}
	for _, m := range all {
		for _, s := range m.statements {
			// CockroachDB has no lock that works, so several nodes may run a statement.
			if !strings.Contains(s, "IF NOT EXISTS") && !strings.Contains(s, "ON CONFLICT DO NOTHING") {
				t.Errorf("%s: not idempotent: %s", m.name, s)
			}
		}
	}
	if serverName("CockroachDB CCL v25.2.1 (x86_64-pc-linux-gnu)") != "cockroachdb" || serverName("PostgreSQL 15.4 on x86_64") != "postgresql" {
		t.Error("serverName takes one server for the other")
	}
}
