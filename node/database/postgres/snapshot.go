package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"viakv/api/kv"
)

// A snapshot keeps the server from vacuuming the rows that it may still read. So it may neither
// stall nor last long.
const (
	snapshotLife  = 5 * time.Minute
	snapshotStall = `SET LOCAL idle_in_transaction_session_timeout = '60s'`
	snapshotBegin = `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY`
)

// snapshot is a read-only transaction that sees one state of the database, on a connection of its
// own (P4). PostgreSQL's repeatable read is a snapshot. CockroachDB runs it as a snapshot or, in
// older versions, as serializable. Either way it sees one state.
type snapshot struct {
	store *Store
	conn  *pgxpool.Conn
	until time.Time
}

// beginSnapshot begins a snapshot. It refuses at once when snapshots hold a quarter of the pool
// already, or one connection of a pool of fewer than eight.
func (s *Store) beginSnapshot(ctx context.Context) (*snapshot, error) {
	select {
	case s.snapshots <- struct{}{}:
	default:
		return nil, &kv.Unavailable{Outcome: kv.None, RetryAfter: time.Second,
			Reason: "as many snapshot scans as this node allows are under way: wait for one to end, or scan without snapshot"}
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	conn, err := s.acquire(ctx)
	if err != nil {
		<-s.snapshots
		return nil, s.noConnection(err)
	}
	sn := &snapshot{store: s, conn: conn, until: time.Now().Add(snapshotLife)}
	for _, sql := range []string{snapshotBegin, snapshotStall} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			sn.end()
			return nil, s.unavailable(kv.None, "the database did not begin a snapshot", err)
		}
	}
	return sn, nil
}

// run runs one statement in the transaction, until the deadline and within the snapshot's life. The
// statement cannot be re-run: an error ends the scan.
func (sn *snapshot) run(ctx context.Context, deadline time.Time, fn func(context.Context, *pgx.Conn) error) error {
	if time.Now().After(sn.until) {
		return sn.store.unavailable(kv.None, "the snapshot scan took longer than "+snapshotLife.String()+": read faster, or scan without snapshot", nil)
	}
	ctx, cancel := cancelBefore(ctx, deadline)
	defer cancel()
	err := fn(ctx, sn.conn.Conn())
	switch {
	case err == nil:
		return nil
	case sqlState(err) == serializationFailure:
		// CockroachDB may ask for a restart, but what was streamed to the client cannot be taken
		// back.
		return kv.ErrSnapshotMoved
	}
	return sn.store.unavailable(kv.None, "the database ended the snapshot", err)
}

// end gives the connection back. If the rollback fails, the transaction is still open, so the pool
// closes the connection.
func (sn *snapshot) end() {
	ctx, cancel := context.WithTimeout(context.Background(), cancelPatience)
	defer cancel()
	_, _ = sn.conn.Exec(ctx, `ROLLBACK`) // on an error the pool sees the connection's state itself
	sn.conn.Release()
	<-sn.store.snapshots
}
