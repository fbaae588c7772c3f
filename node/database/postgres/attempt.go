package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"viakv/api/kv"
	"viakv/node/database/stateless"
)

// kind is the kind of a statement. It tells whether the statement may be re-run after its answer
// was lost.
type kind bool

const (
	reads   kind = false
	mutates kind = true
)

// lostAttempts bounds how often a read is tried when its connection breaks. Each attempt takes
// another connection.
const lostAttempts = 3

// attempt runs fn on a connection until there is an answer, the deadline passes, or an error is
// final (P3). fn runs one statement, and must be ready to be called again. attempt returns errors
// of kv only; those that fn returns already pass unchanged.
func (s *Store) attempt(ctx context.Context, deadline time.Time, k kind, fn func(context.Context, *pgx.Conn) error) error {
	ctx, cancel := cancelBefore(ctx, stateless.Until(deadline, s.cfg.Timeout))
	defer cancel()
	lost := 0
	for n := 1; ; n++ {
		conn, err := s.acquire(ctx)
		if err != nil {
			return s.noConnection(err)
		}
		err = fn(ctx, conn.Conn())
		conn.Release()
		if err == nil || errors.Is(err, kv.ErrMissing) || errors.Is(err, kv.ErrUnavailable) {
			return err
		}
		if sqlState(err) == readOnlyTransaction {
			s.pool.Reset() // closes every connection to the former primary, this one first
		}
		switch e := effectOf(err); {
		case e == nothing:
			return s.unavailable(kv.None, reasonOf(err), err)
		case e == open && k == mutates:
			return s.unavailable(kv.Unknown, "the connection to the database broke before its answer came", err)
		case e == open:
			if lost++; lost >= lostAttempts || ctx.Err() != nil {
				return s.unavailable(kv.None, "the database did not answer", err)
			}
		}
		if !stateless.Wait(ctx, n) {
			return s.unavailable(kv.None, reasonOf(err), err)
		}
	}
}
