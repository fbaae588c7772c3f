package postgres

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/pgxpool"

	"viakv/node/database/stateless"
)

// Config configures a Store.
type Config struct {
	// URL is postgres://user:password@host:port/database?option=value, with the options of libpq
	// and of pgxpool. It must be set.
	URL string
	// Name is the name of this node. It is shown in the node's status and, as application_name, in
	// the database's list of sessions.
	Name string
	// Timeout bounds a request without a deadline. Zero means stateless.DefaultTimeout.
	Timeout time.Duration
}

const (
	// defaultConnections is the size of the pool, unless the URL has pool_max_conns. More
	// connections serve more requests at once until the database is busy. The sum over all nodes
	// must stay below the server's max_connections.
	defaultConnections = 32

	// connectionLife, plus up to connectionLifeJitter, is how long a connection is used. So after a
	// failover or behind a balancer the load spreads anew, and not all nodes reconnect at once.
	connectionLife       = 30 * time.Minute
	connectionLifeJitter = 10 * time.Minute
	connectionIdle       = 5 * time.Minute
	connectTimeout       = 5 * time.Second
)

// errReadOnly says that the server takes no writes (P6).
var errReadOnly = errors.New("the server is read-only: a standby, or default_transaction_read_only is on for this user or database")

// pool returns the configuration of the driver's pool, and the scrubber that keeps credentials out
// of texts. The error about a URL that cannot be parsed may quote parts of a password, so pool does
// not pass it on. An error about an option is passed on without the secrets.
func (c Config) pool() (*pgxpool.Config, stateless.Scrubber, error) {
	var scrub stateless.Scrubber
	u, err := url.Parse(c.URL)
	if err != nil || (u.Scheme != "postgres" && u.Scheme != "postgresql") || (u.Host == "" && u.Query().Get("host") == "") {
		return nil, scrub, errors.New("the store's URL cannot be read: want postgres://user:password@host:port/database?option=value; " +
			"in the password, write special characters as percent codes (@ is %40, / is %2F)")
	}
	options := u.Query()
	password, _ := u.User.Password()
	scrub = stateless.NewScrubber(password, options.Get("password"), options.Get("sslpassword"))
	p, err := pgxpool.ParseConfig(c.URL)
	if err != nil {
		return nil, scrub, fmt.Errorf("an option in the store's URL is wrong: %w", scrub.Error(err))
	}
	if p.ConnConfig.Database == "" || strings.Trim(u.Path, "/") == "" && options.Get("dbname") == "" && options.Get("database") == "" {
		return nil, scrub, errors.New("the store's URL names no database: want postgres://user:password@host:port/database")
	}
	scrub = stateless.NewScrubber(p.ConnConfig.Password, options.Get("sslpassword"))

	if !options.Has("pool_max_conns") {
		p.MaxConns = defaultConnections
	}
	p.MinConns = min(p.MinConns, p.MaxConns)
	p.MaxConnLifetime, p.MaxConnLifetimeJitter, p.MaxConnIdleTime = connectionLife, connectionLifeJitter, connectionIdle
	cc := p.ConnConfig
	if !options.Has("connect_timeout") {
		cc.ConnectTimeout = connectTimeout
	}
	if _, set := cc.RuntimeParams["application_name"]; !set {
		cc.RuntimeParams["application_name"] = strings.TrimSpace("viakv " + c.Name)
	}
	if cc.ValidateConnect == nil { // a URL with target_session_attrs has its own check
		cc.ValidateConnect = refuseReadOnly
	}
	cc.BuildContextWatcherHandler = func(conn *pgconn.PgConn) ctxwatch.Handler {
		return &canceller{conn: conn}
	}
	return p, scrub, nil
}

func refuseReadOnly(ctx context.Context, conn *pgconn.PgConn) error {
	r := conn.ExecParams(ctx, "SHOW transaction_read_only", nil, nil, nil, nil).Read()
	switch {
	case r.Err != nil:
		return r.Err
	case len(r.Rows) == 1 && string(r.Rows[0][0]) == "on":
		return errReadOnly
	}
	return nil
}
