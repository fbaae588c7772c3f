package e2e

import (
	"testing"

	"viakv/cmd/viakv/viakvtest"
)

// These tests do what docs/operations.md tells an operator to do.

// lives waits until a node answers a read of a key, which must have this value.
func (m *mesh) lives(name, key, value string) {
	m.t.Helper()
	var body string
	viakvtest.Await(m.t, name+" to serve", func() bool {
		var status int
		status, body = viakvtest.Fetch(m.t, m.nodes[name].http, "/get", "k", key)
		return status == 200
	})
	if body != value {
		m.t.Errorf("%s serves %q, want %q", name, body, value)
	}
}

func TestOfTwoMembersOneRestarts(t *testing.T) {
	t.Parallel()
	m := newMesh(t, "a", "b")
	m.set("a", "k", "v")
	m.equal("a", "b")
	m.kill("b")
	m.boot("b")
	m.nodes["b"].Line("admission")
	m.ask("b", 503, "/readyz")
	m.refused("a", "k")
	m.ask("a", 200, "/leave", "node", "b", "force", "true")
	m.lives("a", "k", "v")
	m.ready("b") // its seeds name a, so it is admitted again by itself
	m.want("b", "k", "v")
	m.equal("a", "b")
}

// Seeds know nothing of members that are no seeds, so they found a cluster of their own. The page
// warns of that, and this test takes the page's way back.
func TestSeedsThatOutlivedTheirClusterFindBack(t *testing.T) {
	t.Parallel()
	m := newMesh(t, "a", "b")
	m.set("a", "k", "v")
	m.lone("d")
	m.ask("d", 200, "/join", "peer", m.nodes["a"].peer)
	for _, n := range m.names {
		m.ask(n, 200, "/leave")
		m.kill(n)
	}
	m.lives("d", "k", "v")

	for _, n := range m.names {
		m.boot(n)
	}
	for _, n := range m.names {
		m.ready(n)
	}
	if old, founded := m.cluster("d").Cluster, m.cluster("a").Cluster; old == founded {
		t.Fatalf("seeds that start together found no cluster of their own any more, but %s: docs/operations.md says otherwise", old)
	}
	for _, n := range m.names {
		m.kill(n)
	}
	for _, n := range m.names {
		m.nodes[n].seeds += "," + m.nodes["d"].peer // one member that runs is enough
		m.boot(n)
	}
	for _, n := range m.names {
		m.ready(n)
		m.want(n, "k", "v")
	}
	// A node that is ready already may learn of the last one a moment later.
	for _, n := range m.names {
		viakvtest.Await(t, n+" to know all three", func() bool { s := m.cluster(n); return s.N == 3 && s.Cluster == m.cluster("d").Cluster })
	}
}
