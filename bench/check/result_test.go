package check

import (
	"errors"
	"testing"
	"time"

	"viakv/api/client"
	"viakv/api/kv"
)

// TestARefusedReadIsRefused checks that an answer which says that nothing happened counts as
// refused, of reads as of writes, and that no read which got no answer is forgotten.
func TestARefusedReadIsRefused(t *testing.T) {
	away := &client.Error{Outcome: kv.None} // there was no answer
	none, unknown := &client.Error{Status: 503, Outcome: kv.None}, &client.Error{Status: 503, Outcome: kv.Unknown}
	for _, c := range []struct {
		kind opKind
		err  error
		want opResult
	}{
		{get, none, refused}, {has, none, refused}, {set, none, refused}, {remove, none, refused}, {get, unknown, open}, {get, away, open}, {set, away, refused}, {set, unknown, open},
		{get, errors.New("time-out"), open}, {get, client.ErrMissing, missing}, {set, client.ErrMissing, open}, {get, nil, done},
	} {
		if got := resultOf(c.kind, c.err); got != c.want {
			t.Errorf("%v with %v is %v, want %v", c.kind, c.err, got, c.want)
		}
	}
	h := newHistory()
	k := h.newKey("k")
	for result, n := range map[opResult]int{refused: 3, open: 2} {
		for range n {
			h.end(k, operation{Kind: get}, result, 0)
		}
	}
	h.end(k, operation{Kind: get, Client: auditor}, refused, 0)
	h.end(k, operation{Kind: set, Value: 1}, open, 0)
	if c := h.Check(t.Context(), time.Second, nil); c.Refused != 3 || c.Failed != 2 || c.Unknown != 1 || c.Operations != 1 {
		t.Errorf("got %+v", c)
	}
}
