package api

import (
	"context"
	"errors"

	"go.uber.org/zap"

	"viakv/api/advice"
	"viakv/api/kv"
)

// refusal is a problem that the API itself finds, as an error.
type refusal problem

func (r *refusal) Error() string { return r.title + ": " + r.detail }

// refuse returns an error of a kind. Nothing has happened.
func refuse(k kind, detail string) error {
	return &refusal{kind: k, detail: detail, outcome: kv.None}
}

// table is the one place where the store's errors become HTTP. All of these errors promise that
// nothing has changed (kv, C4).
var table = []struct {
	err error
	kind
}{
	{kv.ErrMissing, kindMissing},
	{kv.ErrMemoryLimit, kindMemoryLimit},
	{kv.ErrBadCursor, kindBadCursor},
	{kv.ErrSnapshotMoved, kindMoved},
	{kv.ErrCleared, kindCleared},
	{kv.ErrAlreadyMember, kindAlreadyMember},
	{kv.ErrPeerUnreachable, kindPeerUnreachable},
	{kv.ErrNoSuchNode, kindNoSuchNode},
	{kv.ErrQuorumLoss, kindQuorumLoss},
	{kv.ErrFull, kindFull},
	{kv.ErrNotMesh, kindNotMesh},
}

// explain turns any error into a problem; known is false when no rule covers the error. For a
// request that only reads, the outcome is always none: it can be repeated anywhere.
func explain(err error, mutates bool) (p problem, known bool) {
	if own, ok := errors.AsType[*refusal](err); ok {
		return problem(*own), true
	}
	if argument, ok := errors.AsType[*kv.ArgumentError](err); ok {
		return problem{kind: kindBadParameter, detail: argument.Error(), outcome: kv.None, parameter: argument.Parameter}, true
	}
	if unavailable, ok := errors.AsType[*kv.Unavailable](err); ok {
		p = problem{kind: kindUnavailable, detail: unavailable.Reason, outcome: unavailable.Outcome, retryAfter: unavailable.RetryAfter}
		if p.retryAfter > 0 {
			p.kind = kindOverloaded
		}
		if p.detail == "" {
			p.detail = "the request could not be completed in time"
		}
		if !mutates {
			p.outcome = kv.None
		}
		return p, true
	}
	for _, row := range table {
		if errors.Is(err, row.err) {
			return problem{kind: row.kind, detail: err.Error(), outcome: kv.None}, true
		}
	}
	outcome := kv.None
	if mutates {
		outcome = kv.Unknown
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return problem{kind: kindUnavailable, detail: "the request could not be completed in time", outcome: outcome}, true
	}
	return problem{kind: kindInternal, outcome: outcome}, false
}

// problemOf returns the problem that tells the client of an error. The log gets an error that no
// rule covers; known is false then.
func (x *exchange) problemOf(err error) (p problem, known bool) {
	p, known = explain(err, x.endpoint.mutates)
	if known {
		p.detail = advice.Add(p.detail, err, x.endpoint.path)
		return p, true
	}
	p.detail = "an unexpected error; the server's log has it under the request id " + string(x.id)
	x.server.log.Error("unexpected error", append(x.fields(), zap.Error(err))...)
	return p, false
}

// fail answers with the error.
func (x *exchange) fail(err error) {
	if err == kv.ErrMissing { //nolint:errorlint // the bare sentinel is the hot path; wrapped ones go through the table
		x.ctx.SetStatusCode(kindMissing.status)
		x.ctx.SetContentType(problemType)
		x.ctx.SetBody(missingBody)
		return
	}
	p, known := x.problemOf(err)
	switch {
	case !known: // the log has it
	case p.status >= 500 && (x.endpoint.free || errors.Is(err, kv.ErrContended)):
		// A probe comes every second, and its answer states the reason. A remove that other
		// requests left open is no fault of a node. The log has both at debug level only.
		x.server.log.Debug("request failed", append(x.fields(), zap.Error(err))...)
	case p.status >= 500:
		x.server.log.Warn("request failed", append(x.fields(), zap.Error(err))...)
	}
	p.write(x.ctx)
}
