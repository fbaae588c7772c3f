package node

import (
	"context"
	"strings"
	"testing"
	"time"

	"viakv/api/kv"
	"viakv/node/topology"
	"viakv/node/transport"
	"viakv/quorum/version"
)

// A change of how reads are answered shows in the view and in the status of every member once it is
// answered. It takes one epoch, and none where nothing changes.
func TestReadsAreSetEverywhere(t *testing.T) {
	inMesh(t, 3, func(m *mesh) {
		ctx := context.Background()
		for i := range m.nodes {
			m.wantsReads(i, kv.ReadsLease, kv.DefaultLease)
		}
		last := m.nodes[0].Current().Epoch
		for _, c := range []struct {
			at    int
			reads kv.Reads
			steps version.Epoch
		}{{0, kv.ReadsLease, 0}, {1, kv.ReadsQuorum, 1}, {2, kv.ReadsQuorum, 0}, {2, kv.ReadsLease, 1}} {
			epoch, err := m.nodes[c.at].SetReads(ctx, c.reads)
			if err != nil || epoch != last+c.steps {
				t.Fatalf("reads by %s: epoch %d after %d, %v", c.reads, epoch, last, err)
			}
			last = epoch
			for i := range m.nodes {
				m.wantsReads(i, c.reads, kv.DefaultLease)
			}
		}
	})
}

// wantsReads fails the test unless a node answers reads so, in its view and in its status.
func (m *mesh) wantsReads(i int, reads kv.Reads, lease time.Duration) {
	m.t.Helper()
	v, s := m.nodes[i].Current(), m.nodes[i].Status()
	if v.Leases != (reads == kv.ReadsLease) || v.Term != lease || s.Reads != reads || s.Lease != lease {
		m.t.Errorf("%s: leases %v of %v in the view, reads by %s and leases of %v in the status, want %s and %v",
			m.name(i), v.Leases, v.Term, s.Reads, s.Lease, reads, lease)
	}
}

// The view knows the epoch of the last clear, at a member that has joined since, too.
func TestTheViewKnowsTheLastClear(t *testing.T) {
	inMesh(t, 2, func(m *mesh) {
		ctx := context.Background()
		if v := m.nodes[0].Current(); v.Cleared != 0 {
			t.Errorf("before any clear: cleared at %d", v.Cleared)
		}
		if err := m.nodes[0].Clear(ctx, kv.Options{}); err != nil {
			t.Fatal(err)
		}
		cleared := m.nodes[0].Current().Cleared
		m.start(2, nil)
		m.until(10*time.Second, "node 2 is ready", m.ready(2))
		if err := m.join(ctx, 2, 0); err != nil {
			t.Fatal(err)
		}
		for i := range m.nodes {
			if v := m.nodes[i].Current(); v.Cleared != cleared || cleared == 0 || v.Cleared >= v.Epoch {
				t.Errorf("%s: cleared at %d of %d, want %d", m.name(i), v.Cleared, v.Epoch, cleared)
			}
		}
	})
}

// The founder's settings are those of the cluster, whatever the node that joins was told.
func TestTheFounderSetsReads(t *testing.T) {
	inMesh(t, 0, func(m *mesh) {
		m.start(0, nil, func(c *Config) { c.Reads, c.Lease = kv.ReadsQuorum, kv.MinLease })
		m.start(1, nil)
		for i := range m.nodes {
			m.until(10*time.Second, "the nodes are ready", m.ready(i))
		}
		if err := m.join(context.Background(), 1, 0); err != nil {
			t.Fatal(err)
		}
		m.wantsReads(0, kv.ReadsQuorum, kv.MinLease)
		m.wantsReads(1, kv.ReadsQuorum, kv.MinLease)
	})
}

// A change that no majority agrees to says so within a request's time.
func TestReadsAreNotSetWithoutAMajority(t *testing.T) {
	inMesh(t, 3, func(m *mesh) {
		m.kill(1)
		m.kill(2)
		began := time.Now()
		if _, err := m.nodes[0].SetReads(context.Background(), kv.ReadsQuorum); err == nil {
			t.Error("set without a majority")
		}
		if took := time.Since(began); took > minClearTime+time.Second {
			t.Errorf("took %v", took)
		}
		m.wantsReads(0, kv.ReadsLease, kv.DefaultLease)
	})
}

func TestReadsOfAConfigurationAreChecked(t *testing.T) {
	for want, c := range map[string]Config{
		`reads "both"`: {Reads: "both"}, "lease 1ms": {Lease: time.Millisecond}, "lease 11s": {Lease: 11 * time.Second},
	} {
		c.Name, c.Peer = "n", transport.Address("n:1")
		if _, err := New(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// A member knows of a barrier whether it owes it because it has joined itself.
func TestTheViewKnowsWhoHasJoined(t *testing.T) {
	inMesh(t, 2, func(m *mesh) {
		own := m.nodes[1].present.Load()
		for joined, want := range map[string]bool{m.name(1): true, m.name(0): false, "": false} {
			changed := *own.state.Load().topology
			changed.Change = &topology.SizeChange{Epoch: changed.Epoch, Joined: joined, Owe: []string{m.name(1)}, From: []string{m.name(0)}, Need: 1}
			if joined == "" {
				changed.Change.Left = "gone"
			}
			if v := own.newView(&changed, topology.Active); v.Barrier == nil || v.Barrier.Joined != want {
				t.Errorf("%q joined: %+v", joined, v.Barrier)
			}
		}
	})
}
