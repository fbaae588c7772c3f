package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"viakv/api/kv"
	"viakv/node/database/stateless"
)

// Open connects, brings the schema up to date, checks that this user may do all that requests will
// need, and starts the collector of garbage. It waits for a database that cannot be reached yet. A
// database that refuses is an error at once, which says what to do.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	cfg.Timeout = cmp.Or(cfg.Timeout, stateless.DefaultTimeout)
	known, err := migrations()
	if err != nil {
		return nil, err
	}
	pc, scrub, err := cfg.pool()
	if err != nil {
		return nil, err
	}
	pool, err := pgxpool.NewWithConfig(context.WithoutCancel(ctx), pc)
	if err != nil {
		return nil, scrub.Error(err)
	}
	s := &Store{
		Cluster: stateless.Cluster{Self: cfg.Name}, cfg: cfg, pool: pool, scrub: scrub, schema: len(known),
		snapshots: make(chan struct{}, max(1, pc.MaxConns/4)),
		collect:   make(chan struct{}, 1),
	}
	s.Probe = stateless.NewProbe(s.check)
	err = stateless.Start(ctx, scrub, func(err error) (string, bool) { return diagnose(err, pc.ConnConfig) }, func(ctx context.Context) error {
		return pool.AcquireFunc(ctx, func(c *pgxpool.Conn) error { return s.prepare(ctx, c.Conn()) })
	})
	if err != nil {
		pool.Close()
		return nil, err
	}
	background, stop := context.WithCancel(context.Background())
	s.stop = stop
	s.stopped.Go(func() { s.runCollector(background) })
	return s, nil
}

// prepare makes the database ready.
func (s *Store) prepare(ctx context.Context, c *pgx.Conn) error {
	var about string
	if err := c.QueryRow(ctx, `SELECT version()`).Scan(&about); err != nil {
		return err
	}
	s.Mode = serverName(about)
	if err := migrate(ctx, c, s.Mode == "postgresql"); err != nil {
		return err
	}
	var mayServe bool
	if err := c.QueryRow(ctx, privilegeStatement).Scan(&mayServe); err != nil {
		return err
	}
	if !mayServe {
		return errNoPrivilege
	}
	var g int64
	var key []byte
	err := c.QueryRow(ctx, sealStatement).Scan(&g, &key)
	if errors.Is(err, pgx.ErrNoRows) {
		return s.lostGeneration()
	}
	if err != nil {
		return err
	}
	// The tables may have the right names and yet belong to another program. So let the server
	// check every statement now.
	for _, sql := range []string{getStatement, setStatement, setManyStatement, removeStatement, pageStatement, collectStatement, claimStatement} {
		// The statement is unnamed, so that nothing of it stays behind a pooler.
		if _, err := c.PgConn().Prepare(ctx, "", sql, nil); err != nil {
			return err
		}
	}
	s.Generation.Note(g)
	s.seal = stateless.NewSeal(key)
	return nil
}

// errNoPrivilege says that the user may log in, but lacks rights that requests need.
var errNoPrivilege = errors.New("SELECT, INSERT, UPDATE and DELETE on viakv_items, and SELECT and UPDATE on viakv_generation and viakv_collector, are needed")

// diagnose says what is wrong when a store cannot be opened, and whether waiting is pointless.
func diagnose(err error, cc *pgx.ConnConfig) (reason string, final bool) {
	switch sqlState(err) {
	case invalidPassword, invalidAuthorization:
		return fmt.Sprintf("the database refuses user %q: wrong password, or the server's pg_hba.conf does not let the user in from here", cc.User), true
	case unknownDatabase:
		return fmt.Sprintf("there is no database %q on the server: create it first", cc.Database), true
	case noPrivilege:
		return fmt.Sprintf("user %q may not create or read viakv's tables: grant CREATE on the schema, or let another user start a node once and grant access to the tables viakv_*", cc.User), true
	case readOnlyTransaction:
		return errReadOnly.Error(), true
	case undefinedTable, undefinedColumn:
		return "the tables viakv_* in this schema are not viakv's: use another database, or another schema by ?search_path=", true
	case cannotConnectNow, tooManyConnections:
		return "the database takes no connection now", false
	case "":
	default:
		if effectOf(err) == nothing {
			return "the database refused", true
		}
	}
	switch {
	case errors.Is(err, errNoPrivilege):
		return fmt.Sprintf("user %q may not write", cc.User), true
	case errors.Is(err, kv.ErrUnavailable):
		return "the database is not usable", true
	case errors.Is(err, errReadOnly):
		return fmt.Sprintf("no writable server at %s", cc.Host), false // a failover may be under way
	case errors.Is(err, errNewerSchema):
		return "this program is too old for the database", true
	}
	return fmt.Sprintf("the database at %s port %d cannot be reached", cc.Host, cc.Port), false
}

// check is the check of the probe. It finds out whether the database answers and takes writes,
// whether this user may write, and whether the schema is the one that this program knows.
func (s *Store) check(ctx context.Context) error {
	var g *int64
	var schema *int
	var readOnly, mayServe bool
	err := s.pool.QueryRow(ctx, probeStatement).Scan(&g, &schema, &readOnly, &mayServe)
	switch {
	case err != nil && sqlState(err) != "":
		return s.unavailable(kv.None, reasonOf(err), err)
	case err != nil:
		return s.noConnection(err)
	case readOnly:
		s.pool.Reset()
		return s.unavailable(kv.None, errReadOnly.Error(), nil)
	case !mayServe:
		return s.unavailable(kv.None, lostRight, errNoPrivilege)
	case g == nil:
		return s.lostGeneration()
	}
	s.Generation.Note(*g)
	return s.checkSchema(schema)
}

// checkSchema compares the newest migration that was applied, nil when there is none, with the
// newest that this program knows. A node whose schema was replaced while it runs must not go on:
// its statements were made for another schema.
func (s *Store) checkSchema(newest *int) error {
	switch {
	case newest == nil:
		return s.unavailable(kv.None, "the table viakv_migrations has lost its rows: restore it from a backup", nil)
	case *newest > s.schema:
		return s.unavailable(kv.None, "a newer viakv has brought the database's schema up to its own: run that one here, too", newerSchema(*newest, s.schema))
	case *newest < s.schema:
		return s.unavailable(kv.None, "the database's schema has become an older one, perhaps by a restored backup: restart this node, which brings it up to date", nil)
	}
	return nil
}
