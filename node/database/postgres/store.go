package postgres

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"viakv/api/kv"
	"viakv/node/database/stateless"
	"viakv/quorum/version"
)

// Store keeps keys and values in PostgreSQL or CockroachDB. It implements kv.Store and kv.Cluster,
// and is safe for concurrent use.
type Store struct {
	stateless.Cluster

	cfg   Config
	pool  *pgxpool.Pool
	scrub stateless.Scrubber
	seal  *stateless.Seal
	// schema is the newest version of the schema that this program knows.
	schema int

	snapshots chan struct{} // a token per snapshot scan under way (P4)

	collect   chan struct{} // wakes the collector
	collected atomic.Uint64 // rows of garbage deleted

	waiting  atomic.Int64  // requests that wait for a connection now
	waited   atomic.Int64  // nanoseconds that all requests together have waited
	unserved atomic.Uint64 // requests that got no connection

	stop    context.CancelFunc
	stopped sync.WaitGroup
}

// Stats holds figures for the metrics page.
type Stats struct {
	stateless.Pool
	Collected uint64 // rows of garbage deleted by this node
}

// Stats returns the present figures.
func (s *Store) Stats() Stats {
	st := s.pool.Stat()
	return Stats{
		Pool: stateless.Pool{
			InUse: int64(st.AcquiredConns()), Idle: int64(st.TotalConns() - st.AcquiredConns()), Limit: int64(st.MaxConns()),
			Waiting: s.waiting.Load(), Opened: uint64(st.NewConnsCount()), Failed: s.unserved.Load(), Waited: time.Duration(s.waited.Load()),
		},
		Collected: s.collected.Load(),
	}
}

// acquire takes a connection out of the pool, and keeps account of the wait. The driver's own
// account leaves out the waits that ended without a connection.
func (s *Store) acquire(ctx context.Context) (*pgxpool.Conn, error) {
	s.waiting.Add(1)
	began := time.Now()
	conn, err := s.pool.Acquire(ctx)
	s.waited.Add(int64(time.Since(began)))
	s.waiting.Add(-1)
	if err != nil {
		s.unserved.Add(1)
	}
	return conn, err
}

// Close ends the collector and then closes the connections. It waits for requests under way. It
// must be called once only.
func (s *Store) Close() {
	s.stop()
	s.stopped.Wait()
	s.pool.Close()
}

// appender receives a value from the driver without a copy in between, in the text protocol as well
// as in the binary one.
type appender struct{ b []byte }

func (a *appender) ScanBytes(v []byte) error {
	a.b = append(a.b, v...)
	return nil
}

// Get implements kv.Store.
func (s *Store) Get(ctx context.Context, dst, key []byte, o kv.Options) ([]byte, version.Tag, error) {
	out := appender{b: dst}
	err := s.attempt(ctx, o.Deadline, reads, func(ctx context.Context, c *pgx.Conn) error {
		out.b = out.b[:len(dst)]
		return missing(c.QueryRow(ctx, getStatement, key).Scan(&out))
	})
	if err != nil {
		return dst, version.Tag{}, err
	}
	return out.b, version.Tag{}, nil
}

// GetMany implements kv.Store. The keys are looked up by one statement, so all of them share its
// error (P8).
func (s *Store) GetMany(ctx context.Context, dst []byte, batch []kv.Read, o kv.Options) []byte {
	if len(batch) == 0 {
		return dst
	}
	keys := make([][]byte, len(batch))
	for i := range batch {
		keys[i] = batch[i].Key
	}
	out := appender{b: dst}
	err := s.attempt(ctx, o.Deadline, reads, func(ctx context.Context, c *pgx.Conn) error {
		out.b = out.b[:len(dst)]
		stateless.Answer(batch, kv.ErrMissing)
		rows, err := c.Query(ctx, getManyStatement, keys)
		if err != nil {
			return err
		}
		var place int64 // from 1
		begin := len(dst)
		_, err = pgx.ForEachRow(rows, []any{&place, &out}, func() error {
			r := &batch[place-1]
			r.Value, r.Err = out.b[begin:len(out.b):len(out.b)], nil
			begin = len(out.b)
			return nil
		})
		return err
	})
	if err != nil {
		stateless.Answer(batch, err)
		return dst
	}
	return out.b
}

// Has implements kv.Store.
func (s *Store) Has(ctx context.Context, key []byte, o kv.Options) (version.Tag, error) {
	err := s.attempt(ctx, o.Deadline, reads, func(ctx context.Context, c *pgx.Conn) error {
		var one int
		return missing(c.QueryRow(ctx, hasStatement, key).Scan(&one))
	})
	return version.Tag{}, err
}

// Set implements kv.Store.
func (s *Store) Set(ctx context.Context, key, value []byte, o kv.Options) (version.Tag, error) {
	if value == nil {
		value = []byte{} // nil would be NULL
	}
	err := s.attempt(ctx, o.Deadline, mutates, func(ctx context.Context, c *pgx.Conn) error {
		tag, err := c.Exec(ctx, setStatement, key, value)
		if err == nil && tag.RowsAffected() != 1 {
			return s.lostGeneration()
		}
		return err
	})
	return version.Tag{}, err
}

// SetMany implements kv.Store. The values are stored by one statement, so all of them share its
// outcome (P7).
func (s *Store) SetMany(ctx context.Context, writes []kv.Write, o kv.Options) {
	if len(writes) == 0 {
		return
	}
	keys, values := make([][]byte, len(writes)), make([][]byte, len(writes))
	for i := range writes {
		keys[i], values[i] = writes[i].Key, writes[i].Value
		if values[i] == nil {
			values[i] = []byte{} // nil would be NULL
		}
	}
	err := s.attempt(ctx, o.Deadline, mutates, func(ctx context.Context, c *pgx.Conn) error {
		tag, err := c.Exec(ctx, setManyStatement, keys, values)
		if err == nil && tag.RowsAffected() != int64(len(writes)) {
			return s.lostGeneration()
		}
		return err
	})
	for i := range writes {
		writes[i].Version, writes[i].Err = version.Tag{}, err
	}
}

// Remove implements kv.Store. The row lock makes the delete atomic: of several that overlap, only
// one finds the row.
func (s *Store) Remove(ctx context.Context, key []byte, o kv.Options) error {
	return s.attempt(ctx, o.Deadline, mutates, func(ctx context.Context, c *pgx.Conn) error {
		var one int
		return missing(c.QueryRow(ctx, removeStatement, key).Scan(&one))
	})
}

// Clear implements kv.Store (P2).
func (s *Store) Clear(ctx context.Context, o kv.Options) error {
	err := s.attempt(ctx, o.Deadline, mutates, func(ctx context.Context, c *pgx.Conn) error {
		var g int64
		err := c.QueryRow(ctx, clearStatement).Scan(&g)
		if errors.Is(err, pgx.ErrNoRows) {
			return s.lostGeneration()
		}
		s.Generation.Note(g)
		return err
	})
	if err == nil {
		s.wakeCollector()
	}
	return err
}

// missing turns the driver's "no rows" into the contract's kv.ErrMissing.
func missing(err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return kv.ErrMissing
	}
	return err
}

func (s *Store) lostGeneration() error {
	return s.unavailable(kv.None, "the table viakv_generation has lost its row: restore it from a backup, or drop viakv's tables to begin empty", nil)
}
