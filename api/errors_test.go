package api

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"viakv/api/kv"
)

func TestErrorTable(t *testing.T) {
	t.Parallel()
	store := &recorder{}
	for _, c := range []struct {
		err      error
		status   int
		slug     string
		outcome  string // of a mutation
		inDetail string
		logged   string
	}{
		{kv.ErrMissing, 404, "missing", "none", "no value", ""},
		{fmt.Errorf("wrapped: %w", kv.ErrMissing), 404, "missing", "none", "wrapped", ""},
		{kv.Detail(kv.ErrMemoryLimit, "remove some of %d keys", 7), 507, "memory-limit", "none", "remove some of 7 keys", "request failed"},
		{kv.ErrBadCursor, 400, "bad-cursor", "none", "cursor", ""},
		{kv.ErrSnapshotMoved, 409, "snapshot-moved", "none", "changed", ""},
		{kv.ErrCleared, 409, "cleared", "none", "cleared", ""},
		{kv.ErrAlreadyMember, 409, "already-member", "none", "member", ""},
		{kv.ErrPeerUnreachable, 502, "peer-unreachable", "none", "peer", "request failed"},
		{kv.ErrNoSuchNode, 404, "no-such-node", "none", "node", ""},
		{kv.ErrQuorumLoss, 409, "quorum-loss", "none", "quorum", ""},
		{kv.ErrFull, 409, "mesh-full", "none", "full", ""},
		{kv.ErrNotMesh, 409, "not-a-mesh", "none", "database", ""},
		{&kv.ArgumentError{Parameter: "w", Detail: "4 of 3"}, 400, "bad-parameter", "none", "w: 4 of 3", ""},
		{&kv.Unavailable{Outcome: kv.None, Reason: "no quorum"}, 503, "unavailable", "none", "no quorum", "request failed"},
		{&kv.Unavailable{Outcome: kv.Unknown, Reason: "one of two"}, 503, "unavailable", "unknown", "one of two", "request failed"},
		{fmt.Errorf("w: %w", &kv.Unavailable{Outcome: kv.None}), 503, "unavailable", "none", "in time", "request failed"},
		{&kv.Unavailable{Outcome: kv.None, Reason: "queue full", RetryAfter: 1500 * time.Millisecond}, 503, "overloaded", "none", "queue full", "request failed"},
		{context.DeadlineExceeded, 503, "unavailable", "unknown", "in time", "request failed"},
		{context.Canceled, 503, "unavailable", "unknown", "in time", "request failed"},
		{errors.New("disk on fire at /secret"), 500, "internal", "unknown", "request id", "unexpected error"},
	} {
		core, logs := observer.New(zap.InfoLevel)
		// Each error has a server of its own, because repeated messages are sampled.
		h := start(t, Config{Store: store, Logger: zap.New(core)})
		store.hook = func(context.Context, string) error { return c.err }
		for _, target := range []string{"/set?k=a&v=1", "/get?k=a", "/is?k=a", "/rm?k=a", "/clear", "/getAll"} {
			logs.TakeAll()
			mutates := target[1] == 's' || target[1] == 'r' || target[1] == 'c'
			outcome := c.outcome
			if !mutates {
				outcome = "none"
			}
			a := h.get(target)
			p := a.problem(t, c.status, c.slug)
			if p.Outcome != outcome || !strings.Contains(p.Detail, c.inDetail) || strings.Contains(p.Detail, "secret") {
				t.Errorf("%s, %v: %+v", target, c.err, p)
			}
			if after := a.header.Get("Retry-After"); (after == "2") != (c.slug == "overloaded") {
				t.Errorf("%s, %v: retry after %q", target, c.err, after)
			}
			entries := logs.TakeAll()
			switch {
			case c.logged == "" && len(entries) > 0:
				t.Errorf("%s, %v: logged %v", target, c.err, entries)
			case c.logged != "" && (len(entries) != 1 || entries[0].Message != c.logged ||
				entries[0].ContextMap()["request"] != a.header.Get("X-Request-Id") || entries[0].ContextMap()["error"] != c.err.Error()):
				t.Errorf("%s, %v: logged %v", target, c.err, entries)
			}
		}
	}
}

func TestPanicIsAnswered(t *testing.T) {
	store := &recorder{hook: func(context.Context, string) error { panic("a fault: k1") }}
	core, logs := observer.New(zap.InfoLevel)
	h := start(t, Config{Store: store, Logger: zap.New(core)})
	for target, outcome := range map[string]string{"/get?k=a": "none", "/set?k=a&v=1": "unknown", "/getAll": "none"} {
		a := h.get(target, "X-Request-Id", "mine")
		p := a.problem(t, 500, "internal")
		if p.Outcome != outcome || strings.Contains(a.body, "k1") || a.header.Get("X-Request-Id") != "mine" || a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %+v %v", target, p, a.header)
		}
	}
	if n := logs.FilterMessage("panic in a handler").Len(); n != 3 {
		t.Errorf("%d panics in the log", n)
	}
	if len(h.server.scans) != 0 || h.server.inFlight.Load() != 0 {
		t.Error("a panic has left a scan or a request counted as running")
	}
	store.hook = nil
	h.get("/set?k=a&v=1").want(t, 200, "OK\n")
	if !strings.Contains(h.get("/metrics").body, "viakv_http_panics_total 3\n") {
		t.Error("the panics are not counted")
	}
}

// Kinds are part of the API: a slug that changes breaks clients.
func TestKindsAreFrozen(t *testing.T) {
	got := ""
	for _, k := range []kind{kindMissing, kindNoSuchEndpoint, kindNoSuchNode, kindBadParameter, kindBadCursor, kindMalformed, kindUnauthenticated,
		kindForbidden, kindCrossSite, kindMisdirected, kindMethod, kindSlow, kindAlreadyMember, kindQuorumLoss, kindFull, kindNotMesh, kindMoved, kindCleared,
		kindBodyTooLarge, kindURLTooLong, kindMediaType, kindHeadersTooLarge, kindInternal, kindPeerUnreachable, kindUnavailable, kindOverloaded,
		kindMemoryLimit} {
		got += fmt.Sprintf("%d %s\n", k.status, k.slug)
	}
	const want = `404 missing
404 no-such-endpoint
404 no-such-node
400 bad-parameter
400 bad-cursor
400 malformed
401 unauthenticated
403 forbidden
403 cross-site
421 misdirected
405 method-not-allowed
408 request-timeout
409 already-member
409 quorum-loss
409 mesh-full
409 not-a-mesh
409 snapshot-moved
409 cleared
413 body-too-large
414 url-too-long
415 media-type
431 headers-too-large
500 internal
502 peer-unreachable
503 unavailable
503 overloaded
507 memory-limit
`
	if got != want {
		t.Errorf("got\n%s", got)
	}
}

func TestWhatIsNoFaultDoesNotFillTheLog(t *testing.T) {
	core, logs := observer.New(zap.DebugLevel)
	refusing := func(_ context.Context, verb string) error {
		if verb == "remove" {
			return &kv.Unavailable{Reason: kv.ErrContended.Error(), Err: kv.ErrContended}
		}
		return &kv.Unavailable{Outcome: kv.None, Reason: "no quorum"}
	}
	h := start(t, Config{Store: &recorder{hook: refusing}, Logger: zap.New(core)})
	for _, c := range []struct {
		path  string
		level string
	}{{"/readyz", "debug"}, {"/get?k=a", "warn"}, {"/rm?k=a", "debug"}} {
		logs.TakeAll()
		if a := h.get(c.path); a.status != 503 {
			t.Fatalf("%s: status %d, want 503", c.path, a.status)
		}
		entries := logs.FilterMessage("request failed").All()
		if len(entries) != 1 || entries[0].Level.String() != c.level {
			t.Errorf("%s is logged as %v, want one entry of level %s", c.path, entries, c.level)
		}
	}
}
