package postgres

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"viakv/api/kv"
)

// SQLSTATE codes that this package tells apart. CockroachDB uses the same.
const (
	serializationFailure = "40001"
	completionUnknown    = "40003"
	deadlockDetected     = "40P01"
	uniqueViolation      = "23505"
	readOnlyTransaction  = "25006"
	invalidAuthorization = "28000"
	invalidPassword      = "28P01"
	unknownDatabase      = "3D000"
	noPrivilege          = "42501"
	undefinedColumn      = "42703"
	duplicateColumn      = "42701"
	duplicateObject      = "42710"
	undefinedTable       = "42P01"
	duplicateTable       = "42P07"
	diskFull             = "53100"
	tooManyConnections   = "53300"
	lockNotAvailable     = "55P03"
	queryCanceled        = "57014"
	adminShutdown        = "57P01"
	cannotConnectNow     = "57P03"
	internalError        = "XX000"
)

// effect says what a failed statement has done.
type effect uint8

const (
	open      effect = iota // perhaps everything, perhaps later
	nothing                 // nothing, and trying again would fail again
	transient               // nothing, and trying again may succeed
)

// effectOf classifies the error of a statement in autocommit. Only what certainly did nothing
// counts as nothing (P3). A fatal error can end the session after the commit as well as before it,
// for example a shutdown while synchronous replication is waited for. So its outcome is open,
// although the server answered.
func effectOf(err error) effect {
	e, answered := errors.AsType[*pgconn.PgError](err)
	if !answered {
		if pgconn.SafeToRetry(err) {
			return transient
		}
		return open
	}
	severity := cmp.Or(e.SeverityUnlocalized, e.Severity)
	switch {
	case severity != "" && severity != "ERROR", e.Code == completionUnknown, strings.HasPrefix(e.Code, "08"):
		return open
	case e.Code == serializationFailure, e.Code == deadlockDetected, e.Code == lockNotAvailable, e.Code == queryCanceled:
		return transient
	}
	return nothing
}

// sqlState returns the server's error code, or the empty string when the error is not the server's.
func sqlState(err error) string {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code
	}
	return ""
}

const lostRight = "the database user has lost the right to read or write viakv's tables: grant it"

// reasonOf puts the server's refusal, or its silence, into words that say what to do.
func reasonOf(err error) string {
	switch sqlState(err) {
	case "":
		return "the database did not answer"
	case readOnlyTransaction:
		return "the database became read-only, perhaps by a failover: the node reconnects"
	case undefinedTable, undefinedColumn:
		return "the database has lost viakv's tables, or they are not viakv's: look at viakv_items and viakv_generation"
	case noPrivilege:
		return lostRight
	case diskFull:
		return "the database's disk is full"
	case serializationFailure, deadlockDetected:
		return "other writers of the same rows were first each time until the deadline"
	case queryCanceled, lockNotAvailable:
		return "the database did not finish the statement in time"
	case invalidPassword, invalidAuthorization:
		return "the database refuses the user: if its password was changed, restart the node with the new one"
	case unknownDatabase:
		return "the server has no such database any more"
	case tooManyConnections:
		return "the server has no connection to spare: raise its max_connections, or lower the nodes' pool_max_conns"
	case cannotConnectNow, adminShutdown:
		return "the database is starting or stopping"
	}
	return "the database refused the statement"
}

// unavailable returns the error of a request whose statement failed.
func (s *Store) unavailable(o kv.Outcome, reason string, err error) error {
	return &kv.Unavailable{Outcome: o, Reason: reason, Err: s.scrub.Error(err)}
}

// noConnection returns the error of a request for which there was no connection. Nothing was sent.
func (s *Store) noConnection(err error) error {
	// Compare the open connections with the limit, and not the busy ones: the requests that filled
	// the pool may have ended at the same deadline.
	st := s.pool.Stat()
	if errors.Is(err, context.DeadlineExceeded) && st.TotalConns()-st.ConstructingConns() >= st.MaxConns() {
		return &kv.Unavailable{Outcome: kv.None, RetryAfter: time.Second,
			Reason: "all of the node's connections to the database are busy: the database is slow, or allow more connections"}
	}
	if sqlState(err) != "" {
		return s.unavailable(kv.None, reasonOf(err), err) // the server answered, with a refusal
	}
	return s.unavailable(kv.None, "there is no connection to the database", err)
}
