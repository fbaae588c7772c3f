package api

import (
	"context"
	"encoding/json"
	"net/url"
	"testing"
	"time"

	"viakv/api/document"
	"viakv/api/health"
	"viakv/api/kv"
	"viakv/api/kv/kvtest"
	"viakv/quorum/version"
)

func TestJoinAndLeave(t *testing.T) {
	var peer, node string
	var forced bool
	var left time.Duration
	m := &mesh{
		join: func(ctx context.Context, p string) error {
			deadline, _ := ctx.Deadline()
			peer, left = p, time.Until(deadline)
			return nil
		},
		leave: func(_ context.Context, n string, force bool) (kv.Left, error) {
			node, forced = n, force
			return kv.Left{Node: "n2", Epoch: 9, Forced: force}, nil
		},
		status: kv.Status{Cluster: "c1", Self: "n1", Epoch: 8, Members: []kv.Member{{Name: "n1"}, {Name: "n2"}}},
	}
	h := start(t, Config{Cluster: m})
	h.get("/join?peer=n2.example:9081").want(t, 200, "{\n  \"node\": \"n1\",\n  \"cluster\": \"c1\",\n  \"epoch\": 8,\n  \"members\": [\n    \"n1\",\n    \"n2\"\n  ]\n}\n")
	if peer != "n2.example:9081" || left < time.Minute {
		t.Errorf("joined %q with %s left", peer, left)
	}
	h.post("/join", url.Values{"peer": {"[::1]:9081"}}).want(t, 200, "*")
	if peer != "[::1]:9081" {
		t.Errorf("joined %q", peer)
	}
	h.get("/leave").want(t, 200, "{\n  \"node\": \"n2\",\n  \"epoch\": 9\n}\n")
	if node != "" || forced {
		t.Errorf("left %q %v", node, forced)
	}
	h.post("/leave", url.Values{"node": {"n 2"}, "force": {"true"}}).want(t, 200, "*")
	if node != "n 2" || !forced {
		t.Errorf("left %q %v", node, forced)
	}
}

func TestReadsAreSet(t *testing.T) {
	var got kv.Reads
	m := &mesh{reads: func(_ context.Context, reads kv.Reads) (version.Epoch, error) {
		got = reads
		return 7, nil
	}}
	h := start(t, Config{Cluster: m})
	h.get("/reads?mode=quorum").want(t, 200, "{\n  \"reads\": \"quorum\",\n  \"epoch\": 7\n}\n")
	if got != kv.ReadsQuorum {
		t.Errorf("set %q", got)
	}
	h.post("/reads", url.Values{"mode": {"lease"}}).want(t, 200, "*")
	if got != kv.ReadsLease {
		t.Errorf("set %q", got)
	}
	h.do("HEAD", "/reads?mode=quorum", nil).want(t, 405, "")
	if got != kv.ReadsLease {
		t.Errorf("HEAD has set %q", got)
	}
}

func TestLoneStore(t *testing.T) {
	h := start(t, Config{Name: "alone"})
	h.get("/join?peer=a:1").problem(t, 409, "not-a-mesh")
	h.get("/leave").problem(t, 409, "not-a-mesh")
	h.get("/reads?mode=quorum").problem(t, 409, "not-a-mesh")
	var s document.Status
	if err := json.Unmarshal([]byte(h.get("/cluster").body), &s); err != nil {
		t.Fatal(err)
	}
	if s.Mode != "lone" || s.Self != "alone" || s.N != 1 || len(s.Members) != 1 || s.Members[0].Name != "alone" {
		t.Errorf("got %+v", s)
	}
}

// The quorums of a request and its deadline reach the store. A clear has no deadline: it takes the
// store's own.
func TestOptions(t *testing.T) {
	store := &optionsStore{}
	h := start(t, Config{Store: store, Timeout: time.Minute})
	trace, _ := kv.ParseTrace([]byte("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"))
	for target, want := range map[string]kv.Options{
		"/get?k=a": {}, "/get?k=a&r=3": {R: 3}, "/get?k=a&r=quorum&w=all": {R: kv.QuorumMajority, W: kv.QuorumAll}, "/clear?w=2": {W: 2},
	} {
		h.get(target, "Traceparent", trace.String()).want(t, 404, "*")
		got := store.last
		if got.R != want.R || got.W != want.W || got.Trace != trace {
			t.Errorf("%s: %+v", target, got)
		}
		left := time.Until(got.Deadline)
		if target == "/clear?w=2" && !got.Deadline.IsZero() || target != "/clear?w=2" && (left < 50*time.Second || left > time.Minute) {
			t.Errorf("%s: %s left", target, left)
		}
	}
}

func TestPlanOfAChange(t *testing.T) {
	status := kv.Status{Mode: "mesh", Self: "n1", N: 2, R: 2, W: 2, Members: []kv.Member{
		{Name: "n1", State: "active", Reach: health.Answers}, {Name: "n 2", State: "active", Reach: health.Answers},
	}}
	h := start(t, Config{Cluster: &mesh{status: kvtest.Judged(status)}})
	for target, want := range map[string]document.Strength{
		"/plan?change=join":             {N: 3, Serving: 3, R: 2, W: 2, ReadFailures: 1, WriteFailures: 1},
		"/plan?change=leave&node=n%202": {N: 1, Serving: 1, R: 1, W: 1},
	} {
		var p document.Plan
		a := h.get(target)
		if err := json.Unmarshal([]byte(a.body), &p); err != nil || a.status != 200 || !p.Possible || p.After != want || p.Now.N != 2 {
			t.Errorf("%s: %d %s (%v)", target, a.status, a.body, err)
		}
	}
	for target, parameter := range map[string]string{
		"/plan": "change", "/plan?change=": "change", "/plan?change=grow": "change", "/plan?change=leave": "node", "/plan?change=join&node=n1": "node",
	} {
		if p := h.get(target).problem(t, 400, "bad-parameter"); p.Parameter != parameter {
			t.Errorf("%s: %+v", target, p)
		}
	}
	h.get("/plan?change=leave&node=n9").problem(t, 404, "no-such-node")
	h.post("/plan", nil).problem(t, 405, "method-not-allowed")
	start(t, Config{}).get("/plan?change=join").problem(t, 409, "not-a-mesh")
}
