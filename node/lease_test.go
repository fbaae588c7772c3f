package node

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"viakv/api/kv"
	"viakv/node/transport/simnet"
)

// inMeshOf is inMesh with another configuration.
func inMeshOf(t *testing.T, n int, change func(*Config), test func(m *mesh)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		m := &mesh{t: t, net: simnet.New(simnet.Config{Seed: 1}), log: func(int) *zap.Logger { return nil }}
		defer m.stopAll()
		seeds := m.seeds(n)
		for i := range n {
			m.start(i, seeds, change)
		}
		for i := range n {
			m.until(30*time.Second, fmt.Sprintf("node %d is ready", i), m.ready(i))
		}
		test(m)
	})
}

// A member that is cut off answers nothing from its copy that the others have overwritten, though
// they have taken it out and it does not know. So it is with R=1, too, where a get asks nobody
// else.
func TestACutOffMemberAnswersNothingOld(t *testing.T) {
	for _, force := range []bool{false, true} {
		for _, q := range [][2]kv.Quorum{{kv.QuorumMajority, kv.QuorumMajority}, {1, kv.QuorumAll}} {
			inMeshOf(t, 3, func(c *Config) { c.ReadQuorum, c.WriteQuorum = q[0], q[1] }, func(m *mesh) {
				ctx := context.Background()
				m.set(0, "k", "old")
				time.Sleep(time.Second)
				m.wants(2, "k", "old")
				m.isolate(2, true)
				time.Sleep(time.Second)
				leaving, cancel := context.WithTimeout(ctx, 10*time.Second)
				defer cancel()
				_, _ = m.nodes[0].Leave(leaving, m.name(2), force)
				m.until(30*time.Second, "a set succeeds", func() bool {
					_, err := m.nodes[0].Set(ctx, []byte("k"), []byte("new"), kv.Options{})
					return err == nil
				})
				for range 10 {
					if got, _, err := m.nodes[2].Get(ctx, nil, []byte("k"), kv.Options{}); err == nil {
						t.Errorf("R=%v, W=%v, force %v: a get answers %q", q[0], q[1], force, got)
					}
					time.Sleep(time.Second)
				}
			})
		}
	}
}

// L10: a member that is cut off answers alone until its leases are over. The others do not answer a
// clear before that.
func TestAClearWaitsForThoseWhoReadAlone(t *testing.T) {
	inMesh(t, 3, func(m *mesh) {
		ctx := context.Background()
		leader, _, reader := m.leaderAndFollowers()
		m.set(leader, "k", "old")
		local := func() uint64 { return m.nodes[reader].Stats().Coordinator.Local }
		m.until(5*time.Second, "the reader answers alone", func() bool {
			before := local()
			m.wants(reader, "k", "old")
			return local() > before
		})
		m.isolate(reader, true)
		before := local()
		m.wants(reader, "k", "old")
		if local() == before {
			t.Fatal("the reader does not answer alone")
		}
		if got := m.nodes[leader].present.Load().Term(); got != kv.DefaultLease {
			t.Errorf("the leases of a dead process are taken to last for %v", got)
		}
		if err := m.nodes[leader].Clear(ctx, kv.Options{}); err != nil {
			t.Fatal(err)
		}
		if got, _, err := m.nodes[reader].Get(ctx, nil, []byte("k"), kv.Options{}); err == nil {
			t.Errorf("a get that began after the clear was answered finds %q", got)
		}
	})
}

// Sets at a node do not wait for another one that is asked for gets and stops, leaves or is
// switched to reads by quorum. They wait for one that is killed until its leases are over, once.
func TestWhoMakesSetsWait(t *testing.T) {
	const term, none = kv.DefaultLease, 25 * time.Millisecond
	for name, c := range map[string]struct {
		do   func(m *mesh) error
		most time.Duration
	}{
		"stops": {func(m *mesh) error { m.stop(2); return nil }, none},
		"leaves": {func(m *mesh) error {
			_, err := m.nodes[2].Leave(context.Background(), "", false)
			return err
		}, none},
		"is switched": {func(m *mesh) error {
			for _, to := range []kv.Reads{kv.ReadsQuorum, kv.ReadsLease} {
				if _, err := m.nodes[2].SetReads(context.Background(), to); err != nil {
					return err
				}
			}
			return nil
		}, none},
		"is killed": {func(m *mesh) error { m.kill(2); return nil }, term + term/2},
	} {
		t.Run(name, func(t *testing.T) {
			inMesh(t, 3, func(m *mesh) {
				var over sync.WaitGroup
				stop := make(chan struct{})
				again := func(f func()) {
					over.Go(func() {
						for {
							select {
							case <-stop:
								return
							case <-time.After(500 * time.Microsecond):
								f()
							}
						}
					})
				}
				reader := m.nodes[2]
				again(func() { _, _, _ = reader.Get(context.Background(), nil, []byte("k"), kv.Options{}) })
				var mu sync.Mutex
				var longest time.Duration
				again(func() {
					began := time.Now()
					_, err := m.nodes[0].Set(context.Background(), []byte("k"), []byte("v"), kv.Options{})
					mu.Lock()
					defer mu.Unlock()
					if longest = max(longest, time.Since(began)); err != nil {
						t.Error(err)
					}
				})
				time.Sleep(2 * time.Second)
				mu.Lock()
				longest = 0
				mu.Unlock()
				if len(m.nodes[0].Current().Given.Names()) == 0 {
					t.Error("the node that is asked for gets holds no lease")
				}
				if err := c.do(m); err != nil {
					t.Error(err)
				}
				time.Sleep(2 * time.Second)
				close(stop)
				over.Wait()
				if longest > c.most {
					t.Errorf("a set took %v", longest)
				}
			})
		})
	}
}

// A cluster that is asked for nothing holds no leases.
func TestAnIdleClusterHoldsNoLeases(t *testing.T) {
	inMesh(t, 3, func(m *mesh) {
		for i := range m.nodes {
			m.set(i, key(i), "v")
			m.wants(i, key(0), "v")
		}
		time.Sleep(time.Second)
		for i := range m.nodes {
			m.wants(i, key(0), "v")
			if s := m.nodes[i].Stats().Coordinator; s.Local == 0 {
				t.Errorf("%s has not answered from its own copy", m.name(i))
			}
		}
		m.withoutLeases()
	})
}

// A holder that dies does not make sets fail for ever, however long a lease is and however little
// time the sets have. Once its leases are over, nobody names it.
func TestALongLeaseEnds(t *testing.T) {
	for _, c := range []struct{ lease, time time.Duration }{{kv.DefaultLease, 30 * time.Millisecond}, {2 * time.Second, 500 * time.Millisecond}, {kv.MaxLease, 2 * time.Second}} {
		inMeshOf(t, 3, func(x *Config) { x.Lease = c.lease }, func(m *mesh) {
			m.set(0, "k", "v")
			for range 100 {
				m.wants(2, "k", "v")
				time.Sleep(10 * time.Millisecond)
			}
			m.kill(2)
			m.until(c.lease+3*time.Second, fmt.Sprintf("a set succeeds, with leases of %v", c.lease), func() bool {
				_, err := m.nodes[0].Set(context.Background(), []byte("k"), []byte("v"), kv.Options{Deadline: time.Now().Add(c.time)})
				return err == nil
			})
			for i := range 2 {
				for _, n := range m.nodes[i].Current().Given.Names() {
					if n.Holder == m.nodes[0].Current().Members[2].Incarnation {
						t.Errorf("with leases of %v, %s names the holder that is dead", c.lease, m.name(i))
					}
				}
			}
		})
	}
}
