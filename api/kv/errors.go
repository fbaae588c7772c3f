package kv

import (
	"errors"
	"fmt"
	"time"
)

// Errors of a store. They are matched with errors.Is. Their texts, and what is added to them, say
// what is the case. What to do about it depends on the user's interface, and is said there
// (api/advice): a store knows no endpoint, parameter or flag.
var (
	// ErrMissing: the key has no value.
	ErrMissing = errors.New("no such key")
	// ErrMemoryLimit: a node may hold no more bytes. From a join, it means that the node could not
	// hold what the mesh holds.
	ErrMemoryLimit = errors.New("a memory limit is reached")
	// ErrBadCursor: the cursor is forged, damaged or expired, or was made by another cluster or
	// before a clear.
	ErrBadCursor = errors.New("the cursor is not valid here")
	// ErrSnapshotMoved: something was written during a snapshot scan.
	ErrSnapshotMoved = errors.New("the store changed during the scan")
	// ErrCleared: a clear ended the scan.
	ErrCleared = errors.New("the store was cleared during the scan")
	// ErrAlreadyMember: the node is a member of that mesh already, or a live node has its name.
	ErrAlreadyMember = errors.New("already a member")
	// ErrPeerUnreachable: the peer named in a join does not answer or is no viakv node. Or the
	// peer's mesh cannot reach the joining node at the address that the node advertises.
	ErrPeerUnreachable = errors.New("the peer cannot be reached")
	// ErrNoSuchNode: no member has that name.
	ErrNoSuchNode = errors.New("no such node")
	// ErrQuorumLoss: the change of membership would leave too few live members for a quorum.
	ErrQuorumLoss = errors.New("the change would lose the quorum")
	// ErrFull: the mesh has as many members as it may.
	ErrFull = errors.New("the mesh is full")
	// ErrNotMesh: the store is a database. Its nodes are stateless, and there is nothing to join or
	// leave.
	ErrNotMesh = errors.New("this node keeps its data in a database")
	// ErrUnavailable is what every *Unavailable matches.
	ErrUnavailable = errors.New("unavailable")
)

// Causes say what exactly is the case, where the errors above, or an Unavailable, do not. A cause
// that wraps an error matches that error, too.
var (
	// ErrInMesh: the node is one of several members of a mesh, and cannot join another.
	ErrInMesh = fmt.Errorf("%w", ErrAlreadyMember)
	// ErrPeerSilent: nothing answers at the peer's address.
	ErrPeerSilent = fmt.Errorf("%w", ErrPeerUnreachable)
	// ErrNodeUnreachable: the mesh cannot reach the joining node at the address that the node
	// advertises.
	ErrNodeUnreachable = fmt.Errorf("%w", ErrPeerUnreachable)
	// ErrLastMember: the member is the last one, and its keys would be lost.
	ErrLastMember = fmt.Errorf("%w", ErrQuorumLoss)
	// ErrTooFewServe: too few members that serve would be left.
	ErrTooFewServe = fmt.Errorf("%w", ErrQuorumLoss)
	// ErrWeakQuorums: R and W would not overlap, and the configuration does not allow that.
	ErrWeakQuorums = fmt.Errorf("%w", ErrQuorumLoss)

	// ErrJoinUnderWay: a join of the node is under way.
	ErrJoinUnderWay = errors.New("a join of this node is under way")
	// ErrMayBeMember: a join was given up, and the mesh does not know that.
	ErrMayBeMember = errors.New("the mesh may count on this node as a member")
	// ErrLoneSeed: the seeds are one name that leads to this node and no other.
	ErrLoneSeed = errors.New("the seeds lead to this node alone")
	// ErrMovedOn: the members have changed since the change was asked for.
	ErrMovedOn = errors.New("the topology has moved on meanwhile")
	// ErrNotMember: the node's membership is over.
	ErrNotMember = errors.New("the node is no member of its cluster any more")
	// ErrTooFewReplicas: fewer replicas answer than a request needs.
	ErrTooFewReplicas = errors.New("too few replicas")
	// ErrContended: overlapping requests for the same key left open what became of a remove. Enough
	// replicas answered, and no node is at fault.
	ErrContended = errors.New("overlapping requests for the key left open whether the remove took effect")
	// ErrTooFewCopies: a rebuild waits, because fewer members have a full copy than it has to
	// merge. Writes may have been lost with the copies of the others.
	ErrTooFewCopies = errors.New("too few full copies")
)

// Outcome is what an unavailable request may have done.
type Outcome uint8

// The outcomes. The zero value promises nothing.
const (
	Unknown Outcome = iota // it may have taken effect, or may yet
	None                   // nothing happened and nothing will
)

func (o Outcome) String() string {
	if o == None {
		return "none"
	}
	return "unknown"
}

// Unavailable is the error of a request that could not be completed in time.
type Unavailable struct {
	Outcome    Outcome
	Reason     string        // for people: what was waited for, or what stood in the way
	RetryAfter time.Duration // above zero: overload, try again after this time
	Err        error         // the cause; may be nil
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

// ArgumentError is the error of an option that the store cannot accept in its present shape, for
// example r=4 in a cluster of three.
type ArgumentError struct {
	Parameter string // the option's name
	Detail    string // what is wrong, and the limit
}

func (e *ArgumentError) Error() string { return e.Parameter + ": " + e.Detail }

// DetailError adds to one of the errors above a sentence that says what is the case.
type DetailError struct {
	Err    error
	Detail string
}

func (e *DetailError) Error() string { return e.Err.Error() + ": " + e.Detail }

// Unwrap returns the error without the sentence.
func (e *DetailError) Unwrap() error { return e.Err }

// Detail wraps err with a formatted sentence.
func Detail(err error, format string, args ...any) error {
	return &DetailError{Err: err, Detail: fmt.Sprintf(format, args...)}
}
