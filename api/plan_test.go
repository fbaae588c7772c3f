package api

import (
	"encoding/json"
	"testing"

	"viakv/api/document"
	"viakv/api/kv"
)

func TestPlanOfAChange(t *testing.T) {
	status := kv.Status{Mode: "mesh", Self: "n1", N: 2, R: 2, W: 2, Members: []kv.Member{
		{Name: "n1", State: "active", Reachable: true}, {Name: "n 2", State: "active", Reachable: true},
	}}
	h := start(t, Config{Cluster: &mesh{status: status}})
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
