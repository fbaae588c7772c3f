package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"viakv/api/kv"
)

// These are sentinels that an *Error matches, for callers that import nothing else of viakv.
var (
	ErrMissing     = kv.ErrMissing
	ErrUnavailable = kv.ErrUnavailable
	ErrMemoryLimit = kv.ErrMemoryLimit
	// ErrCut: a scan's stream ended before its last line.
	ErrCut = errors.New("the scan was cut short")
	// ErrNotViakv: the endpoint's answer is not one of viakv.
	ErrNotViakv = errors.New("the answer is not one of viakv")
)

// Error is the error of a request that did not succeed.
type Error struct {
	Endpoint string // the endpoint that was asked last
	Status   int    // of HTTP; 0: there was no answer
	// Kind is the last part of the problem's type, as in "memory-limit". Empty: the answer was no
	// problem document.
	Kind   string
	Title  string
	Detail string // what to do
	// Parameter is the parameter at fault. Empty: none is.
	Parameter string
	// Outcome of a mutation is kv.None when it is certain that nothing happened and nothing will.
	// That of a read is always kv.None.
	Outcome kv.Outcome
	// Retriable says that nothing happened, and that the same request may succeed later or
	// elsewhere.
	Retriable  bool
	RetryAfter time.Duration // above zero: overload, try again after this time
	Err        error         // why there was no answer, or what came instead of one

	load *loadProblem // what became of the pairs of a load, if the answer says that
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Endpoint)
	switch {
	case e.Status != 0 && e.Title != "":
		fmt.Fprintf(&b, ": %d %s", e.Status, e.Title)
	case e.Status != 0:
		fmt.Fprintf(&b, ": status %d", e.Status)
	}
	if e.Detail != "" {
		b.WriteString(": " + e.Detail)
	}
	if e.Err != nil {
		b.WriteString(": " + e.Err.Error())
	}
	if e.Outcome == kv.Unknown {
		b.WriteString(" (outcome unknown: it may have taken effect)")
	}
	return b.String()
}

// Unwrap returns Err, the cause.
func (e *Error) Unwrap() error { return e.Err }

// sentinels has the sentinels of package kv by the slug of a problem's type.
var sentinels = map[string]error{
	"missing": kv.ErrMissing, "memory-limit": kv.ErrMemoryLimit, "bad-cursor": kv.ErrBadCursor, "snapshot-moved": kv.ErrSnapshotMoved,
	"cleared": kv.ErrCleared, "already-member": kv.ErrAlreadyMember, "peer-unreachable": kv.ErrPeerUnreachable, "no-such-node": kv.ErrNoSuchNode,
	"quorum-loss": kv.ErrQuorumLoss, "mesh-full": kv.ErrFull, "not-a-mesh": kv.ErrNotMesh, "unavailable": kv.ErrUnavailable, "overloaded": kv.ErrUnavailable,
}

// Is makes an Error match the sentinels of package kv. An Error without an answer matches
// kv.ErrUnavailable, too.
func (e *Error) Is(target error) bool {
	if e.Status == 0 && target == kv.ErrUnavailable {
		return true
	}
	return e.Kind != "" && sentinels[e.Kind] == target
}

// problem is an RFC 9457 document as viakv fills it.
type problem struct {
	Type, Title, Detail, Outcome, Parameter string

	Stored *int64 // of a load
	Next   int64
	Failed []failedLines
}

const (
	problemType   = "application/problem+json"
	problemPrefix = "urn:viakv:problem:"
)

// newError returns the error of an answer that is no success.
func newError(endpoint string, mutates bool, r *fasthttp.Response) *Error {
	e := &Error{Endpoint: endpoint, Status: r.StatusCode()}
	if !mutates {
		e.Outcome = kv.None
	}
	var p problem
	if string(r.Header.ContentType()) != problemType || json.Unmarshal(r.Body(), &p) != nil {
		// This is a proxy's answer. The proxy may have passed the request on; only a 4xx says that
		// it did not.
		if e.Status >= 400 && e.Status < 500 {
			e.Outcome = kv.None
		}
		e.Err = fmt.Errorf("%w: %s", ErrNotViakv, shorten(string(r.Body())))
		return e
	}
	e.Kind = strings.TrimPrefix(p.Type, problemPrefix)
	e.Title, e.Detail, e.Parameter = p.Title, p.Detail, p.Parameter
	if outcome(p.Outcome) == kv.None {
		e.Outcome = kv.None
	}
	if p.Stored != nil {
		e.load = &loadProblem{*p.Stored, p.Next, p.Failed}
		// The rest counts the lines of one request, which its sender does not know.
		e.Detail, _, _ = strings.Cut(p.Detail, fmt.Sprintf("; %d value", *p.Stored))
	}
	e.Retriable = retriable(r)
	if s, err := strconv.Atoi(string(r.Header.Peek(fasthttp.HeaderRetryAfter))); err == nil && s > 0 {
		e.RetryAfter = time.Duration(s) * time.Second
	}
	return e
}

// outcome returns the outcome that a problem document names.
func outcome(name string) kv.Outcome {
	if name == kv.None.String() {
		return kv.None
	}
	return kv.Unknown
}

// retriable reports whether an answer says that nothing happened and the request may be repeated.
func retriable(r *fasthttp.Response) bool {
	return string(r.Header.Peek("X-Viakv-Retriable")) == "true"
}

func shorten(s string) string {
	const limit = 120
	if s = strings.TrimSpace(s); len(s) > limit {
		return strconv.Quote(s[:limit]) + "…"
	}
	return strconv.Quote(s)
}
