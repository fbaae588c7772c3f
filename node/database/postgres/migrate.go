package postgres

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"viakv/node/database/stateless"
)

// migrationFiles holds the migrations, whose names give their order. Each statement is idempotent,
// because several nodes may run them at the same time where there is no lock: CockroachDB accepts
// pg_advisory_lock and locks nothing. $1 is a fresh key for cursors. There are no other parameters.
//
//go:embed migrations/*.sql
var migrationFiles embed.FS

// migrationLock is the advisory lock under which PostgreSQL nodes migrate: "viakv" in ASCII.
const migrationLock = 0x7669616b76

const (
	createMigrations = `CREATE TABLE IF NOT EXISTS viakv_migrations (
    version INT PRIMARY KEY,
    applied TIMESTAMPTZ NOT NULL DEFAULT now()
)`
	readMigrations  = `SELECT COALESCE(max(version), 0) FROM viakv_migrations`
	recordMigration = `INSERT INTO viakv_migrations (version) VALUES ($1) ON CONFLICT DO NOTHING`
)

// errNewerSchema says that a newer program has migrated the schema.
var errNewerSchema = errors.New("the schema in the database is newer than this program")

func newerSchema(found, known int) error {
	return fmt.Errorf("%w: version %d, and this program knows versions up to %d; run a newer viakv", errNewerSchema, found, known)
}

type migration struct {
	version    int
	name       string
	statements []string
}

// migrations returns all embedded migrations by version.
func migrations() ([]migration, error) {
	names, err := fs.Glob(migrationFiles, "migrations/*.sql") // sorted
	if err != nil {
		return nil, err
	}
	var all []migration
	for _, name := range names {
		text, err := migrationFiles.ReadFile(name)
		if err != nil {
			return nil, err
		}
		base := strings.TrimSuffix(strings.TrimPrefix(name, "migrations/"), ".sql")
		number, _, _ := strings.Cut(base, "_")
		version, err := strconv.Atoi(number)
		if err != nil || version != len(all)+1 {
			return nil, fmt.Errorf("migration %s: want number %d", base, len(all)+1)
		}
		m := migration{version: version, name: base}
		for s := range strings.SplitSeq(string(text), ";\n") {
			if s = strings.TrimSpace(s); s != "" {
				m.statements = append(m.statements, s)
			}
		}
		all = append(all, m)
	}
	return all, nil
}

// querier is what a connection and a transaction have in common.
type querier interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// migrate brings the schema to this program's version, even while other nodes do the same. It only
// reads a schema that is there already. So a user without the right to create tables can serve a
// schema that another user has made.
func migrate(ctx context.Context, conn *pgx.Conn, locked bool) error {
	all, err := migrations()
	if err != nil {
		return err
	}
	version, err := schemaVersion(ctx, conn)
	if err != nil {
		return err
	}
	if version > len(all) {
		return newerSchema(version, len(all))
	}
	for n := 1; version < len(all); n++ {
		if locked {
			err = migrateLocked(ctx, conn, all)
		} else {
			err = applyFrom(ctx, conn, all, version)
		}
		if err == nil {
			return nil
		}
		if !racing(err) || !stateless.Wait(ctx, n) {
			return fmt.Errorf("create the tables: %w", err)
		}
	}
	return nil
}

// schemaVersion returns the newest version applied, or 0 when there is no schema.
func schemaVersion(ctx context.Context, q querier) (version int, err error) {
	err = q.QueryRow(ctx, readMigrations).Scan(&version)
	if sqlState(err) == undefinedTable {
		return 0, nil
	}
	return version, err
}

func migrateLocked(ctx context.Context, conn *pgx.Conn, all []migration) error {
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1)`, int64(migrationLock)); err != nil {
			return err
		}
		return applyFrom(ctx, tx, all, 0)
	})
}

// applyFrom applies the migrations that are missing. It reads the version again, because another
// node may have migrated while this one waited for the lock.
func applyFrom(ctx context.Context, q querier, all []migration, version int) error {
	if _, err := q.Exec(ctx, createMigrations); err != nil {
		return err
	}
	newest, err := schemaVersion(ctx, q)
	if err != nil {
		return err
	}
	for _, m := range all[min(max(version, newest), len(all)):] {
		for _, s := range m.statements {
			var args []any
			if strings.Contains(s, "$1") {
				args = append(args, stateless.NewCursorKey())
			}
			if _, err := q.Exec(ctx, s, args...); err != nil {
				return fmt.Errorf("migration %s: %w", m.name, err)
			}
		}
		if _, err := q.Exec(ctx, recordMigration, m.version); err != nil {
			return err
		}
	}
	return nil
}

// racing reports whether an error is one that idempotent DDL gives when another session runs the
// same at the same time.
func racing(err error) bool {
	switch sqlState(err) {
	case serializationFailure, deadlockDetected, uniqueViolation, duplicateTable, duplicateObject, duplicateColumn, internalError:
		return true
	}
	return false
}

// serverName names the server that reports this version.
func serverName(version string) string {
	if strings.Contains(version, "CockroachDB") {
		return "cockroachdb"
	}
	return "postgresql"
}
