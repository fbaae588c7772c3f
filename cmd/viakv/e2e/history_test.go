package e2e

import (
	"encoding/json"
	"fmt"
	"testing"

	"viakv/api/document"
	"viakv/cmd/viakv/viakvtest"
)

// history returns what a member records.
func (m *mesh) history(name string) (out document.History) {
	m.t.Helper()
	if err := json.Unmarshal([]byte(m.ask(name, 200, "/history")), &out); err != nil {
		m.t.Fatal(err)
	}
	return out
}

// Every member knows what all members answered and refused. A refusal is never an answer, a member
// that is dead has no part in the sum, and one that comes back begins anew.
func TestEveryMemberKnowsWhatTheClusterAnsweredAndRefused(t *testing.T) {
	t.Parallel()
	m := newMesh(t, "a", "b", "c")
	m.set("a", "k", "v")
	// now asks the nodes for something, each time anew, until the live point of a node holds. All
	// points must make sense.
	now := func(at, what string, holds func(p *document.Points) bool, requests func()) {
		t.Helper()
		viakvtest.Await(t, what, func() bool {
			requests()
			d := m.history(at)
			if d.Scope != "cluster" || d.Now == nil {
				t.Fatalf("%+v", d)
			}
			for _, p := range []*document.Points{d.Now, &d.Points} {
				for i := range p.At {
					for _, rate := range []*float32{p.Reads[i], p.Writes[i], p.ReadsRefused[i], p.WritesRefused[i]} {
						if (rate == nil) != (p.Reporting[i] == 0) || rate != nil && (*rate < 0 || *rate > 1e5) {
							t.Fatalf("point %d: %s", i, text(p))
						}
					}
				}
			}
			return holds(d.Now)
		})
	}
	calm := func(p *document.Points) bool {
		return p.Reporting[0] == 3 && *p.Reads[0] > 0 && *p.Writes[0] > 0 && *p.ReadsRefused[0]+*p.WritesRefused[0] == 0 && p.P50[0] != nil && p.Verdict[0] == "serving"
	}
	for _, n := range m.names { // no requests are sent to c
		now(n, n+" to know the requests of a and b", calm, func() {
			m.want("a", "k", "v")
			m.set("b", "k", "v")
		})
	}
	m.kill("b")
	m.kill("c")
	m.refused("a", "k")
	now("a", "refusals, and nothing else", func(p *document.Points) bool {
		return p.Reporting[0] == 1 && p.Members[0] == 3 && p.Answering[0] == 1 && p.Verdict[0] == "refusing" &&
			*p.ReadsRefused[0] > 0 && *p.WritesRefused[0] > 0 && *p.Reads[0]+*p.Writes[0] == 0 && p.P50[0] == nil && p.P99[0] == nil
	}, func() {
		m.ask("a", 503, "/get", "k", "k")
		m.ask("a", 503, "/set", "k", "k", "v", "w")
	})
	m.kill("a")
	for _, n := range m.names {
		m.boot(n)
	}
	for _, n := range m.names {
		m.ready(n)
	}
	m.set("c", "k", "v")
	now("a", "the new processes' requests", calm, func() {
		m.want("c", "k", "v")
		m.set("b", "k", "v")
	})
}

func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(err)
	}
	return string(b)
}
