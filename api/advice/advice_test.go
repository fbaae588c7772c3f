package advice

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"viakv/api/health"
	"viakv/api/kv"
)

func TestAdd(t *testing.T) {
	for _, c := range []struct {
		err      error
		endpoint string
		want     string
	}{
		{nil, "/join", ""},
		{errors.New("else"), "/join", ""},
		{kv.ErrMissing, "/get", ""},
		{kv.Detail(kv.ErrMemoryLimit, "b holds as much as it may"), "/set", "remove keys, clear, or raise --max-memory there"},
		{kv.ErrMemoryLimit, "/join", "raise --max-memory there, or remove keys first"},
		{fmt.Errorf("wrapped: %w", kv.ErrPeerSilent), "/join", "is it the peer address of a running node?"},
		{kv.ErrPeerUnreachable, "/join", ""},
		{fmt.Errorf("%w: %w", kv.ErrMayBeMember, kv.ErrNodeUnreachable), "/join", "if its /cluster shows this node as a member, take it out there by /leave"},
		{kv.ErrTooFewServe, "/leave", "wait until the others are back, or repeat with force=true and accept what that may lose"},
		{kv.ErrTooFewServe, "/join", "wait until the others are back"},
		{kv.ErrQuorumLoss, "/leave", ""},
		{kv.ErrNoSuchNode, "/plan", "/cluster shows the members"},
		{kv.ErrNoSuchNode, "/leave", ""},
		{&kv.Unavailable{Outcome: kv.None, Reason: "so it is"}, "/leave", ""},
		{&kv.Unavailable{Outcome: kv.None, Reason: "so it is", Err: kv.ErrTooFewReplicas}, "/get", "/cluster shows who is reachable"},
	} {
		want := "so it is"
		if c.want != "" {
			want += "; " + c.want
		}
		if got := Add("so it is", c.err, c.endpoint); got != want {
			t.Errorf("%v at %s: %q, want %q", c.err, c.endpoint, got, want)
		}
	}
}

func TestNext(t *testing.T) {
	const http = "127.0.0.1:8081"
	for name, c := range map[string]struct {
		v    health.Verdict
		want string
	}{
		"all is well":            {health.Verdict{Level: health.Serving, CanRead: true, CanWrite: true, N: 3, W: 2}, ""},
		"outside of the cluster": {health.Verdict{Outside: true}, ""},
		"one of three is away": {health.Verdict{Level: health.Degraded, CanRead: true, CanWrite: true, N: 3, W: 2, Away: []string{"c"}},
			"bring c back into reach; if its process has ended, start it again: it rebuilds by itself"},
		"two of three were restarted": {health.Verdict{N: 3, W: 2, Lost: []string{"b", "c"}},
			"`viakv export FILE --r 1 --endpoints 127.0.0.1:8081` copies what this node holds; after that " +
				"`viakv member leave b --force --endpoints 127.0.0.1:8081` goes on without b, and says what that may lose; docs/majority-lost.md has all steps"},
		"one of two is about to be let in": {health.Verdict{N: 2, W: 2, Lost: []string{"b"}, Led: true, Copies: 1, CopiesNeed: 1}, "wait: b will be let in, and rebuild"},
		"a leader, but too few copies": {health.Verdict{N: 2, W: 1, Lost: []string{"b"}, Led: true, Copies: 1, CopiesNeed: 2},
			"`viakv export FILE --r 1 --endpoints 127.0.0.1:8081` copies what this node holds; after that " +
				"`viakv member leave b --force --endpoints 127.0.0.1:8081` goes on without b, and says what that may lose; docs/majority-lost.md has all steps"},
		// Each read of two members needs both, so no copy can be read first.
		"one of two was restarted": {health.Verdict{N: 2, W: 2, Lost: []string{"b"}},
			"`viakv member leave b --force --endpoints 127.0.0.1:8081` goes on without b, and says what that may lose; docs/majority-lost.md has all steps"},
		"one of three is away and one was restarted": {health.Verdict{N: 3, W: 2, Away: []string{"b"}, Lost: []string{"c"}},
			"bring b back into reach, without a restart if possible: a process that still runs has kept its memory; " +
				"otherwise `viakv export FILE --r 1 --endpoints 127.0.0.1:8081` copies what this node holds; after that " +
				"`viakv member leave c --force --endpoints 127.0.0.1:8081` goes on without c, and says what that may lose; docs/majority-lost.md has all steps"},
	} {
		if got := Next(&c.v, http); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	if got := Next(&health.Verdict{N: 2, W: 2, Lost: []string{"b"}}, ""); !strings.Contains(got, "`viakv member leave b --force` goes on") {
		t.Errorf("without an address: %q", got)
	}
}

// A row is never read if an earlier row matches everything that it does.
func TestEveryRowIsReached(t *testing.T) {
	for i, row := range table {
		if got := Add("so it is", row.err, row.endpoint); got != "so it is; "+row.do {
			t.Errorf("row %d, %v at %q: %q, want %q", i, row.err, row.endpoint, got, row.do)
		}
	}
}
