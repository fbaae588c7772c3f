package kv

import (
	"errors"
	"fmt"
	"time"
)

// Errors of a store. Match them with errors.Is.
var (
	// ErrMissing: the key has no value.
	ErrMissing = errors.New("no such key")
	// ErrMemoryLimit: a node may hold no more bytes; removing keys, clearing or a higher limit
	// helps. Of a join: it could not hold what the mesh holds.
	ErrMemoryLimit = errors.New("a memory limit is reached")
	// ErrBadCursor: forged, damaged, expired, or made by another cluster or before a clear. Start the scan anew.
	ErrBadCursor = errors.New("the cursor is not valid here")
	// ErrSnapshotMoved: something was written during a snapshot scan.
	ErrSnapshotMoved = errors.New("the store changed during the scan")
	// ErrCleared: a clear ended the scan.
	ErrCleared = errors.New("the store was cleared during the scan")
	// ErrAlreadyMember: the node is a member of that mesh already, or a live node has its name.
	ErrAlreadyMember = errors.New("already a member")
	// ErrPeerUnreachable: the peer named in a join does not answer, or is no viakv node; or its
	// mesh cannot reach the joining node where that says it is.
	ErrPeerUnreachable = errors.New("the peer cannot be reached")
	// ErrNoSuchNode: no member has that name.
	ErrNoSuchNode = errors.New("no such node")
	// ErrQuorumLoss: the change of membership would leave too few live members for a quorum.
	ErrQuorumLoss = errors.New("the change would lose the quorum")
	// ErrFull: the mesh has as many members as it may.
	ErrFull = errors.New("the mesh is full")
	// ErrNotMesh: the store is a database; nodes are stateless and there is nothing to join or leave.
	ErrNotMesh = errors.New("this node keeps its data in a database")
	// ErrUnavailable is what every *Unavailable matches.
	ErrUnavailable = errors.New("unavailable")
)

// Outcome says what an unavailable request may have done.
type Outcome uint8

// Outcomes. The zero value is the one that promises nothing.
const (
	Unknown Outcome = iota // may have taken effect, or may yet
	None                   // nothing happened and nothing will
)

func (o Outcome) String() string {
	if o == None {
		return "none"
	}
	return "unknown"
}

// Unavailable is a request that could not be completed in time.
type Unavailable struct {
	Outcome    Outcome
	Reason     string        // for a human: what was waited for, and what to look at
	RetryAfter time.Duration // above zero: overload, come back later
	Err        error         // the cause, if there is one; may be nil
}

func (u *Unavailable) Error() string {
	if u.Err == nil {
		return fmt.Sprintf("unavailable, outcome %s: %s", u.Outcome, u.Reason)
	}
	return fmt.Sprintf("unavailable, outcome %s: %s: %v", u.Outcome, u.Reason, u.Err)
}

// Is makes every Unavailable match ErrUnavailable.
func (u *Unavailable) Is(target error) bool { return target == ErrUnavailable }

// Unwrap returns the cause.
func (u *Unavailable) Unwrap() error { return u.Err }

// ArgumentError is a request parameter that the store cannot accept in its present shape, for example r=4 in a cluster
// of three.
type ArgumentError struct {
	Parameter string // as in the URL
	Detail    string // what is wrong, and the limit
}

func (e *ArgumentError) Error() string { return e.Parameter + ": " + e.Detail }

// DetailError adds a sentence for the operator to one of the errors above.
type DetailError struct {
	Err    error
	Detail string
}

func (e *DetailError) Error() string { return e.Err.Error() + ": " + e.Detail }

// Unwrap returns the error that was detailed.
func (e *DetailError) Unwrap() error { return e.Err }

// Detail wraps err with a formatted sentence.
func Detail(err error, format string, args ...any) error {
	return &DetailError{Err: err, Detail: fmt.Sprintf(format, args...)}
}
