package quorum

import (
	"errors"
	"strings"
	"testing"

	"viakv/api/kv"
	"viakv/quorum/replica"
)

// All nodes refuse a new value while the copy of any member is full, even a member that the write
// would not have asked. Everything else goes on.
func TestOneFullMemberRefusesAtAllNodes(t *testing.T) {
	for _, n := range []int{1, 2, 3, 4, 5} {
		for full := range n {
			m := newMesh(t, n)
			m.nodes[0].mustSet("k", "v")
			m.Stores[full].SetFull(true)
			for i, nd := range m.nodes {
				nd.cfg.Full = func(_ *replica.View, member int) bool { return member == full }
				for _, o := range []kv.Options{{}, {R: 1}, {R: kv.QuorumAll}, {W: kv.QuorumAll}} {
					for _, key := range []string{"k", "new"} {
						_, err := nd.Set(bg, []byte(key), []byte("w"), o)
						if !errors.Is(err, kv.ErrMemoryLimit) || !strings.Contains(err.Error(), m.view(full).Members[full].Name+" holds") {
							t.Errorf("%d nodes, %d full, set at %d with %+v: %v", n, full, i, o, err)
						}
					}
				}
				nd.wantValue("k", "v")
			}
			if err := m.nodes[n-1].Remove(bg, []byte("k"), kv.Options{}); err != nil {
				t.Errorf("%d nodes, %d full: remove: %v", n, full, err)
			}
			for i, r := range m.Stores {
				if rec := r.Record("new"); !rec.Tag.IsZero() {
					t.Errorf("%d nodes, %d full: replica %d has %v", n, full, i, rec)
				}
			}
		}
	}
}

// view returns a node's view.
func (m *mesh) view(i int) *replica.View { return m.nodes[i].Current() }

// The error names all members that are full, including those that have no vote yet. A member's
// reply counts as much as what the member has said before.
func TestAllFullMembersAreNamed(t *testing.T) {
	m := newMesh(t, 5)
	m.nodes[0].Install(m.View(0, func(v *replica.View) { v.Members[3].Incarnation, v.Members[3].Pending = 0, 9 }))
	m.nodes[0].cfg.Full = func(_ *replica.View, member int) bool { return member == 3 || member == 4 }
	want := func(names string) {
		t.Helper()
		if _, err := m.nodes[0].Set(bg, []byte("k"), []byte("v"), kv.Options{}); !errors.Is(err, kv.ErrMemoryLimit) || !strings.Contains(err.Error(), names) {
			t.Errorf("%v, want %q", err, names)
		}
	}
	want(": nd and ne hold")
	m.Stores[0].SetFull(true)
	want(": na, nd and ne hold")
	m.nodes[0].cfg.Full = nil
	want(": na holds")
	m.Stores[0].SetFull(false)
	m.Stores[2].SetFull(true)
	want(": nc holds")
	m.Stores[2].SetFull(false)
	m.nodes[0].mustSet("k", "v")
}
