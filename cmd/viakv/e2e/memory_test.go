package e2e

import (
	"encoding/json"
	"strings"
	"testing"

	"viakv/api/kv"
	"viakv/cmd/viakv/viakvtest"
)

// limit sets the memory limit of the nodes that are started from now on.
func (m *mesh) limit(size string) {
	m.t.Helper()
	m.t.Setenv("VIAKV_MAX_MEMORY", size)
}

// fill stores n values of the largest size.
func (m *mesh) fill(name string, n int) {
	m.t.Helper()
	value := strings.Repeat("😀", kv.MaxValueCharacters)
	for i := range n {
		m.set(name, "key-"+strings.Repeat("x", i%50)+string(rune('a'+i%26))+string(rune(0x4e00+i)), value)
	}
}

// full checks that a node refuses a set of a new key, and names the owner of the limit.
func (m *mesh) full(at, owner string) {
	m.t.Helper()
	var p struct{ Type, Detail, Outcome string }
	body := m.ask(at, 507, "/set", "k", "new at "+at, "v", "v")
	if err := json.Unmarshal([]byte(body), &p); err != nil || p.Type != "urn:viakv:problem:memory-limit" || p.Outcome != "none" || !strings.Contains(p.Detail, owner+" holds") {
		m.t.Errorf("%s says %s, want a refusal that names %s", at, body, owner)
	}
}

// Containers are sized by the limit. A node whose limit is below what it must hold says so at once,
// and all nodes give the same answer.
func TestAMemoryLimitBelowTheData(t *testing.T) {
	m := newMesh(t, "n1", "n2", "n3")
	m.fill("n1", 3000)

	m.kill("n3")
	m.limit("2MiB")
	m.back("n3")
	for _, n := range m.names {
		m.full(n, "n3")
	}
	m.nodes["n3"].Line("the memory limit is below what another member holds")
	m.nodes["n3"].Line("this node has reached its memory limit")
	m.nodes["n1"].Line("a member has reached its memory limit")
	for _, n := range m.names {
		viakvtest.Await(t, "/cluster of "+n+" to say so", func() bool {
			s := m.cluster(n)
			return len(s.Warnings) == 1 && strings.HasPrefix(s.Warnings[0], "n3 holds ") && strings.Contains(s.Warnings[0], "may hold 2.0 MiB") &&
				len(s.Members) == 3 && s.Members[2].Full && !s.Members[0].Full && s.Members[2].MaxBytes == 2<<20
		})
		viakvtest.Start(t, "status", "--endpoints", m.nodes[n].http).Line("n3 holds ")
		if page := m.ask(n, 200, "/metrics"); !strings.Contains(page, `viakv_member_full{member="n3"} 1`) {
			t.Errorf("the metrics of %s do not say so", n)
		}
	}
	if s := m.cluster("n3"); s.Keys != 3000 {
		t.Errorf("n3 has %d keys", s.Keys)
	}

	// A new node with such a limit is not admitted.
	m.lone("n4")
	m.set("n4", "mine", "v")
	body := m.ask("n4", 507, "/join", "peer", m.nodes["n1"].peer)
	if !strings.Contains(body, "n4 may hold 2.0 MiB") || !strings.Contains(body, "the mesh's ") {
		t.Errorf("the join says %s", body)
	}
	m.want("n4", "mine", "v")
	if s := m.cluster("n1"); len(s.Members) != 3 {
		t.Errorf("the mesh has %d members", len(s.Members))
	}

	// With room again all nodes take new keys, whether the room comes from removes or from a higher
	// limit.
	m.limit("64MiB")
	m.kill("n3")
	m.back("n3")
	for _, n := range m.names {
		m.set(n, "new at "+n, "v")
	}
}
