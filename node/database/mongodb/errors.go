package mongodb

import (
	"errors"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/topology"

	"viakv/api/kv"
)

// Error codes of the server that this package tells apart.
const (
	internalError       = 1
	unknownError        = 8
	hostUnreachable     = 6
	hostNotFound        = 7
	unauthorized        = 13
	authFailed          = 18
	namespaceNotFound   = 26
	maxTimeExpired      = 50
	writeConcernFailed  = 64
	networkTimeout      = 89
	shutdownInProgress  = 91
	writeConflict       = 112
	queryPlanKilled     = 175
	primarySteppedDown  = 189
	exceededTimeLimit   = 262
	socketException     = 9001
	notWritablePrimary  = 10107
	duplicateKey        = 11000
	interruptedShutdown = 11600
	interrupted         = 11601
	interruptedRepl     = 11602
	notPrimary          = 13435
)

// effect says what a failed command has done.
type effect uint8

const (
	open      effect = iota // perhaps everything, perhaps later
	nothing                 // nothing, and trying again would fail again
	transient               // nothing, and trying again may succeed
)

// codesOf returns the server's codes in an error, and none when the error is not the server's.
// applied means that a write was applied and was not replicated in time. The server reports that as
// a write concern error.
func codesOf(err error) (codes []int, applied bool) {
	if we, ok := errors.AsType[mongo.WriteException](err); ok {
		for _, e := range we.WriteErrors {
			codes = append(codes, e.Code)
		}
		return codes, we.WriteConcernError != nil
	}
	// The driver presents broken connections as command errors without a code.
	if ce, ok := errors.AsType[mongo.CommandError](err); ok && ce.Code != 0 && !ce.HasErrorLabel("NetworkError") {
		codes = append(codes, int(ce.Code))
	}
	return codes, false
}

// effectOf classifies the error of a command that was sent so many times. Only what certainly did
// nothing counts as nothing (N4).
func effectOf(err error, sent int32) effect {
	if sent == 0 {
		return nothing
	}
	codes, applied := codesOf(err)
	if applied || len(codes) == 0 || sent > 1 && !noWrites(err) {
		return open
	}
	worst := transient
	for _, c := range codes {
		switch c {
		case writeConflict, duplicateKey, queryPlanKilled, notWritablePrimary, notPrimary:
			// The server has refused before anything happened. A duplicate means that another
			// upsert of the same key was first, so the key is now there to update.
		case internalError, unknownError, // the cause is not known
			hostUnreachable, hostNotFound, networkTimeout, socketException, // a router has lost its shard
			maxTimeExpired, exceededTimeLimit, writeConcernFailed, // perhaps while waiting for the majority
			shutdownInProgress, primarySteppedDown, interruptedShutdown, interrupted, interruptedRepl:
			return open
		default:
			worst = nothing
		}
	}
	return worst
}

// noWrites reports whether the server says that no sending of a repeated command has written
// anything.
func noWrites(err error) bool {
	le, ok := errors.AsType[mongo.LabeledError](err)
	return ok && le.HasErrorLabel("NoWritesPerformed")
}

func hasCode(err error, code int) bool {
	codes, _ := codesOf(err)
	return slices.Contains(codes, code)
}

// reasonOf puts a refusal into words that say what to do.
func reasonOf(err error) string {
	switch {
	case hasCode(err, authFailed):
		return "the database refuses the user: if its password was changed, restart the node with the new one"
	case hasCode(err, unauthorized):
		return "the database user has lost its rights: grant readWrite on the database"
	case hasCode(err, writeConflict), hasCode(err, duplicateKey), hasCode(err, queryPlanKilled):
		return "other writers of the same key were first each time until the deadline"
	case hasCode(err, notWritablePrimary), hasCode(err, notPrimary):
		return "the replica set has no primary now: an election is under way, or a majority is down"
	case hasCode(err, maxTimeExpired), hasCode(err, exceededTimeLimit), mongo.IsTimeout(err):
		return "the database did not answer in time"
	}
	switch codes, applied := codesOf(err); {
	case applied:
		return "no majority of the replica set confirms writes in time: look at its members"
	case len(codes) > 0:
		return "the database refused the command"
	}
	return "there is no connection to the database"
}

// unavailable returns the error of a request whose command failed.
func (s *Store) unavailable(o kv.Outcome, reason string, err error) error {
	return &kv.Unavailable{Outcome: o, Reason: reason, Err: s.scrub.Error(err)}
}

// unsent returns the error of a request of which nothing was sent.
func (s *Store) unsent(err error) error {
	if _, waited := errors.AsType[topology.WaitQueueTimeoutError](err); waited {
		return &kv.Unavailable{Outcome: kv.None, RetryAfter: time.Second, Err: s.scrub.Error(err),
			Reason: "no connection to the database became free in time: the database is slow, or allow more connections"}
	}
	return s.unavailable(kv.None, reasonOf(err), err)
}
