package topology

import (
	"errors"
	"strings"
	"testing"
	"time"

	"viakv/api/kv"
	"viakv/node/transport"
	"viakv/node/wire"
	"viakv/quorum/version"
)

func TestThreeFoundACluster(t *testing.T) {
	simulate(t, func(w *world) {
		began := time.Now()
		a, b, c := w.trio()
		if took := time.Since(began); took > time.Second {
			w.Errorf("founding took %v", took)
		}
		top := w.agree(time.Second, a, b, c)
		if top.Epoch != firstEpoch || top.Founder != a.id.BootID || top.N() != 3 || top.R() != 2 || top.W() != 2 {
			w.Errorf("founded %s", top.encode())
		}
		w.leader(a, b, c)
	})
}

func TestAloneWithoutSeeds(t *testing.T) {
	simulate(t, func(w *world) {
		a := w.start("a")
		top := w.agree(100*time.Millisecond, a)
		if _, err := a.m.Clear(w.ctx(time.Second)); err != nil {
			t.Error(err)
		}
		if top.R() != 1 || top.W() != 1 {
			t.Errorf("R %d, W %d", top.R(), top.W())
		}
	})
}

// A client that reads "active" may at once ask the node for what an active node does. So the state
// becomes "active" only after the host has adopted the topology.
func TestANodeIsActiveOnceItsHostKnows(t *testing.T) {
	simulate(t, func(w *world) {
		a := w.start("a", blocked)
		time.Sleep(time.Second)
		if s := a.m.Status(); s.State != stateFounding {
			t.Errorf("%+v, and the host has yet to adopt its topology", s)
		}
		a.unblock()
		w.agree(100*time.Millisecond, a)
		if s := a.m.Status(); s.State != stateActive {
			t.Errorf("%+v", s)
		}
	})
}

// M9: the founders wait for a silent seed, since it may belong to a cluster that lives on.
func TestASilentSeedIsWaitedFor(t *testing.T) {
	simulate(t, func(w *world) {
		all := seeds("a", "b", "c")
		a, b := w.start("a", all), w.start("b", all)
		time.Sleep(30 * time.Second)
		for _, p := range []*process{a, b} {
			if p.m.current() != nil {
				t.Fatalf("%s founded without c", p.id.Name)
			}
			if s := p.m.Status(); s.State != stateFounding || s.Reason != "seeds that do not answer: c:7000" {
				t.Errorf("%s: %+v", p.id.Name, s)
			}
		}
		c := w.start("c", all)
		w.agree(2*time.Second, a, b, c)
	})
}

// The founder dies, each time at another moment of the founding. Whatever was promised or issued
// before, the three nodes end in one cluster.
func TestTheFounderDiesWhileFounding(t *testing.T) {
	for _, stage := range []struct {
		name string
		op   wire.ControlOp
		to   transport.Address // the only process that op still reaches; empty: none
	}{
		{"before any promise", wire.OpPromise, ""},
		{"with one promise", wire.OpPromise, "c:7000"},
		{"before the document is out", wire.OpFound, ""},
		{"with the document at one", wire.OpFound, "c:7000"},
		{"with the document at all", wire.OpRaft, ""},
	} {
		t.Run(stage.name, func(t *testing.T) {
			simulate(t, func(w *world) {
				all := seeds("a", "b", "c")
				dying := make(chan struct{}, 1)
				dead := false
				w.net.filter(func(from, to transport.Address, request []byte) bool {
					op := wire.ControlOp(request[0])
					if from != "a:7000" || !dead && op != stage.op || op == stage.op && to == stage.to {
						return false
					}
					dead = true
					select {
					case dying <- struct{}{}:
					default:
					}
					return true
				}, nil)
				b, c := w.start("b", all), w.start("c", all)
				a := w.start("a", all)
				<-dying
				time.Sleep(20 * time.Millisecond)
				a.crash()
				w.net.filter(nil, nil)
				time.Sleep(3 * time.Second)
				again := w.start("a", all)
				top := w.agree(20*time.Second, again, b, c)
				if len(w.documents) != 1 && stage.op == wire.OpPromise {
					t.Errorf("%d clusters were founded", len(w.documents))
				}
				if top.N() != 3 {
					t.Errorf("%s", top.encode())
				}
			})
		})
	}
}

func TestTwoNodesOfOneNameFoundNothing(t *testing.T) {
	simulate(t, func(w *world) {
		all := func(c *Config, _ *process) { c.Seeds = []transport.Address{"x:1", "y:1"} }
		a, b := w.start("a", all, at("x:1")), w.start("a", all, at("y:1"))
		for _, p := range []*process{a, b} {
			<-p.ended
			if !errors.Is(p.err, kv.ErrAlreadyMember) {
				t.Errorf("ended with %v", p.err)
			}
		}
	})
}

func TestSeedsOfTwoClusters(t *testing.T) {
	simulate(t, func(w *world) {
		a, b := w.start("a"), w.start("b")
		w.agree(time.Second, a)
		w.agree(time.Second, b)
		c := w.start("c", seeds("a", "b", "c"))
		w.until("c says what it waits for", 5*time.Second, func() bool { return strings.Contains(c.m.Status().Reason, "name those of one") })
		time.Sleep(5 * time.Second)
		if c.over() || c.m.current() != nil || a.m.current().Joining != nil || b.m.current().Joining != nil {
			t.Error("c has entered one of the two, or has given up")
		}
		b.crash() // and comes back as a member of the cluster of a
		b = w.start("b", via("a"))
		w.agree(20*time.Second, a, b, c)
	})
}

// A node whose seed list names fewer nodes than that of another node must not found a cluster
// without the nodes that only the other one knows.
func TestFoundersMustSeeTheSame(t *testing.T) {
	simulate(t, func(w *world) {
		a := w.start("a", seeds("a", "b"))
		b := w.start("b", seeds("a", "b", "c"))
		time.Sleep(10 * time.Second)
		if a.m.current() != nil || b.m.current() != nil {
			t.Fatal("a cluster was founded without c")
		}
		if s := a.m.Status(); s.Reason != "the promise of b" {
			t.Errorf("a waits for %q", s.Reason)
		}
		w.start("c", seeds("a", "b", "c"))
		time.Sleep(5 * time.Second)
		if a.m.current() != nil {
			t.Error("a and b founded a cluster that c is no part of")
		}
	})
}

func TestANewNodeEntersByItsSeeds(t *testing.T) {
	simulate(t, func(w *world) {
		a, b, c := w.trio()
		d := w.start("d", seeds("a", "b", "c", "d"))
		top := w.agree(5*time.Second, a, b, c, d)
		if top.N() != 4 || top.W() != 3 {
			t.Errorf("%s", top.encode())
		}
	})
}

func TestAssess(t *testing.T) {
	self := Identity{Name: "b", Peer: "b:1", BootID: 2}
	id := func(name string, boot uint64) Identity {
		return Identity{Name: name, Peer: transport.Address(name + ":1"), BootID: boot}
	}
	fresh := func(name string, boot uint64) sighting {
		return sighting{address: transport.Address(name + ":1"), presence: presence{Identity: id(name, boot), State: stateFounding}}
	}
	member := func(name string, cluster ClusterID, epoch version.Epoch, forks ...ClusterID) sighting {
		s := fresh(name, 100)
		s.State, s.Topology = stateActive, &Topology{Cluster: cluster, Epoch: epoch, Forks: forks}
		return s
	}
	silent := sighting{address: "z:1", err: errors.New("refused")}
	left := fresh("y", 9)
	left.State = stateLeft
	for _, c := range []struct {
		name    string
		seen    []sighting
		fatal   error
		cluster ClusterID
		wait    string
		founder string
	}{
		{name: "all fresh", seen: []sighting{fresh("c", 3), fresh("a", 1)}, founder: "a"},
		{name: "nobody else", founder: "b"},
		{name: "silent", seen: []sighting{fresh("a", 1), silent}, wait: "seeds that do not answer: z:1"},
		{name: "was a member once", seen: []sighting{fresh("a", 1), left}, wait: "y:1 (left)"},
		{name: "a member decides, silent seed or not", seen: []sighting{silent, member("a", 7, 1), fresh("c", 3)}, cluster: 7},
		{name: "two of one cluster", seen: []sighting{member("a", 7, 1), member("c", 7, 2)}, cluster: 7},
		{name: "two clusters", seen: []sighting{member("a", 7, 1), member("c", 8, 1)},
			wait: "the seeds to be of one cluster: a:1 is in 0000000000000007, c:1 in 0000000000000008; name those of one"},
		{name: "a fork and what it continues", seen: []sighting{member("a", 7, 1), member("c", 8, 2, 7)}, cluster: 8},
		{name: "my name", seen: []sighting{fresh("b", 5)}, fatal: kv.ErrAlreadyMember},
		{name: "one name twice", seen: []sighting{fresh("a", 5), fresh("a", 6)}, wait: "a:1 and a:1 to get different names (both are a)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := assess(self, c.seen)
			if !errors.Is(v.fatal, c.fatal) || v.fatal == nil && c.fatal != nil {
				t.Fatalf("fatal: %v", v.fatal)
			}
			if c.fatal != nil {
				return
			}
			if v.wait != c.wait && c.cluster == 0 {
				t.Errorf("waits for %q, want %q", v.wait, c.wait)
			}
			switch {
			case c.cluster != 0:
				if v.cluster == nil || v.cluster.Topology.Cluster != c.cluster {
					t.Errorf("cluster %+v, want %v", v.cluster, c.cluster)
				}
			case v.cluster != nil:
				t.Errorf("enters %v", v.cluster.Topology.Cluster)
			case c.wait == "" && v.fresh[0].Name != c.founder:
				t.Errorf("founder %s, want %s", v.fresh[0].Name, c.founder)
			}
		})
	}
}
