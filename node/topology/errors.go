package topology

import (
	"errors"

	"viakv/api/kv"
)

// Errors that end a membership.
var (
	// ErrReplaced means that a newer process of the same name holds this node's slot. This process
	// is refused for ever.
	ErrReplaced = errors.New("topology: a newer process has taken over this node's slot; stop one of the two")
	// ErrAbandoned means that the cluster gave up waiting for this joining node. A new membership
	// may try again.
	ErrAbandoned = errors.New("topology: the cluster has given this join up; join again")
	// ErrForgotten means that no seed remembers the cluster that was asked for admission. A new
	// membership may found another.
	ErrForgotten = errors.New("topology: the cluster that this node asked for admission is gone")
	// ErrOver means that this membership has ended.
	ErrOver = errors.New("topology: the node's membership is over")
)

// errOpen means that a proposal was made and its outcome is not known.
var errOpen = errors.New("topology: the leader changed before the proposal was decided")

// code is an outcome on the wire. Codes are append-only.
type code string

const (
	codeOK        code = "ok"
	codeElsewhere code = "elsewhere" // this process is not the leader
	codeAgain     code = "again"     // nothing was proposed; ask again
	codeOpen      code = "open"      // something may have been proposed; ask again under the same ID
	codeRefused   code = "refused"   // refused for good, for a reason that has no code
)

// coded is an error and what stands for it on the wire.
type coded struct {
	code code
	err  error
}

// codes maps codes to the errors that callers tell apart.
var codes = []coded{
	{"already-member", kv.ErrAlreadyMember},
	{"unreachable", kv.ErrPeerUnreachable},
	{"no-such-node", kv.ErrNoSuchNode},
	{"quorum-loss", kv.ErrQuorumLoss},
	{"full", kv.ErrFull},
	{"start-over", ErrStartOver},
	{"unsettled", errUnsettled},
	{"departing", errDeparting},
	{"vacant", errVacant},
	{"epoch", errEpoch},
}

// causes maps causes, which tell more than a code, to errors. A cause stands beside its code, so
// that a caller that does not know the cause goes by the code.
var causes = []coded{
	{"in-mesh", kv.ErrInMesh},
	{"node-unreachable", kv.ErrNodeUnreachable},
	{"last-member", kv.ErrLastMember},
	{"too-few-serve", kv.ErrTooFewServe},
	{"weak-quorums", kv.ErrWeakQuorums},
}

// refusal returns the response for an error.
func refusal(err error) response {
	for _, c := range codes {
		if errors.Is(err, c.err) {
			r := response{Code: c.code}
			for _, k := range causes {
				if errors.Is(err, k.err) {
					r.Cause = k.code
				}
			}
			if d, ok := errors.AsType[*kv.DetailError](err); ok {
				r.Detail = d.Detail
			}
			return r
		}
	}
	return response{Code: codeRefused, Detail: err.Error()}
}

// err returns the error that a response stands for, nil for success.
func (r *response) err() error {
	if r.Code == codeOK {
		return nil
	}
	for _, c := range codes {
		if r.Code != c.code {
			continue
		}
		known := c.err
		for _, k := range causes {
			if r.Cause == k.code && errors.Is(k.err, c.err) {
				known = k.err
			}
		}
		if r.Detail == "" {
			return known
		}
		return kv.Detail(known, "%s", r.Detail)
	}
	return errors.New(r.Detail)
}
