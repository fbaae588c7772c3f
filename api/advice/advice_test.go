package advice

import (
	"errors"
	"fmt"
	"testing"

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

// A row is never read if an earlier row matches everything that it does.
func TestEveryRowIsReached(t *testing.T) {
	for i, row := range table {
		if got := Add("so it is", row.err, row.endpoint); got != "so it is; "+row.do {
			t.Errorf("row %d, %v at %q: %q, want %q", i, row.err, row.endpoint, got, row.do)
		}
	}
}
