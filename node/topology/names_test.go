package topology

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"viakv/api/kv"
	"viakv/node/transport"
)

// permutations returns all orders of some addresses.
func permutations(of []netip.Addr) [][]netip.Addr {
	if len(of) < 2 {
		return [][]netip.Addr{of}
	}
	var out [][]netip.Addr
	for i := range of {
		rest := slices.Concat(of[:i:i], of[i+1:])
		for _, p := range permutations(rest) {
			out = append(out, append([]netip.Addr{of[i]}, p...))
		}
	}
	return out
}

// One name stands for all nodes. Resolvers list its addresses in any order, with the asking node's
// own at any place, in one family or in both.
func TestEachAddressOfASeedNameIsASeed(t *testing.T) {
	for _, family := range []struct{ name, a, b, c string }{
		{"IPv4", "10.0.0.1", "10.0.0.2", "10.0.0.3"},
		{"IPv6", "fd00::1", "fd00::2", "fd00::3"},
		{"both", "10.0.0.1", "fd00::2", "fd00::3"},
		{"mapped", "::ffff:10.0.0.1", "10.0.0.2", "10.0.0.3"},
	} {
		for shift := range 6 {
			t.Run(fmt.Sprint(family.name, shift), func(t *testing.T) {
				simulate(t, func(w *world) {
					s := w.nameServer()
					orders := permutations([]netip.Addr{s.host("a", family.a), s.host("b", family.b), s.host("c", family.c)})
					w.net.lead("10.0.0.1:7000", address("a"))
					s.say("all", func(viewer string) ([]netip.Addr, error) {
						return orders[(shift*(1+strings.Index("abc", viewer)))%6], nil
					})
					var nodes []*process
					for _, name := range []string{"a", "b", "c"} {
						nodes = append(nodes, w.start(name, seeds("all"), s.resolve))
						time.Sleep(time.Duration(shift) * 150 * time.Millisecond)
					}
					w.agree(10*time.Second, nodes...)
					w.founded()
					if top := nodes[0].m.current(); top.Epoch != firstEpoch {
						t.Errorf("not founded by all: %s", top.encode())
					}
					for _, p := range nodes { // the connections that served to find the seeds are closed
						if forgotten := p.forgotten(); len(forgotten) < 3 {
							t.Errorf("%s keeps its connections: closed %v", p.id.Name, forgotten)
						}
					}
				})
			})
		}
	}
}

// A name server lists nodes as they start. Each node sees a new entry late, and some of its
// look-ups fail or hang.
func TestASeedNameThatGrows(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			simulate(t, func(w *world) {
				random := rand.New(rand.NewPCG(seed, 3))
				n := 2 + random.IntN(4)
				s := w.nameServer()
				type entry struct {
					ip netip.Addr
					at time.Time
				}
				var listed []entry
				late := map[string]time.Duration{}
				var mu sync.Mutex
				s.say("all", func(viewer string) ([]netip.Addr, error) {
					mu.Lock()
					defer mu.Unlock()
					switch x := random.Float64(); {
					case x < 0.1:
						return nil, errNoSuchHost
					case x < 0.2:
						return nil, errHangs
					}
					var out []netip.Addr
					for _, e := range listed {
						if time.Since(e.at) >= late[viewer] {
							out = append(out, e.ip)
						}
					}
					random.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
					return out, nil
				})
				var nodes []*process
				for i := range n {
					name := string(rune('a' + (i+int(seed))%n))
					ip := s.host(name, fmt.Sprintf("10.0.0.%d", 1+i))
					mu.Lock()
					listed = append(listed, entry{ip, time.Now()})
					late[name] = time.Duration(random.Int64N(int64(4 * time.Second)))
					wait := time.Duration(random.Int64N(int64(5 * time.Second)))
					mu.Unlock()
					nodes = append(nodes, w.start(name, seeds("all"), s.resolve))
					time.Sleep(wait)
				}
				w.agree(time.Minute, nodes...)
				w.founded()
			})
		})
	}
}

// A name server shows only one or two of the addresses at each look-up, drawn anew each time.
func TestASeedNameShownInParts(t *testing.T) {
	for seed := range uint64(30) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			simulate(t, func(w *world) {
				random := rand.New(rand.NewPCG(seed, 5))
				s := w.nameServer()
				all := s.hosts("a", "b", "c", "d")
				var mu sync.Mutex
				s.say("all", func(string) ([]netip.Addr, error) {
					mu.Lock()
					defer mu.Unlock()
					out := slices.Clone(all)
					random.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
					return out[:1+seed%2], nil
				})
				nodes := w.startAll([]string{"a", "b", "c", "d"}, seeds("all"), s.resolve)
				w.agree(time.Minute, nodes...)
				w.founded()
			})
		})
	}
}

// Each of two groups of nodes is shown its own half of the addresses. Only Config.Expect tells the
// nodes that there are more.
func TestExpectKeepsHalvesFromFounding(t *testing.T) {
	simulate(t, func(w *world) {
		s := w.nameServer()
		all := s.hosts("a", "b", "c", "d")
		s.say("all", func(viewer string) ([]netip.Addr, error) {
			if viewer < "c" {
				return all[:2], nil
			}
			return all[2:], nil
		})
		nodes := w.startAll([]string{"a", "b", "c", "d"}, seeds("all"), s.resolve, expects(3))
		w.reason(nodes[0], "3 nodes to found a cluster, as many as are expected; here are a, b")
		time.Sleep(time.Minute)
		if len(w.documents) > 0 {
			t.Fatal("a half founded a cluster")
		}
		s.list("all", all...)
		w.agree(10*time.Second, nodes...)
		w.founded()
	})
}

// At first each of two groups of nodes is shown its own half of the addresses, as by name servers
// that are not up to date yet.
func TestHalvesThatAreShownForAMoment(t *testing.T) {
	simulate(t, func(w *world) {
		s := w.nameServer()
		all := s.hosts("a", "b", "c", "d")
		began := time.Now()
		s.say("all", func(viewer string) ([]netip.Addr, error) {
			switch {
			case time.Since(began) > 2*time.Second:
				return all, nil
			case viewer < "c":
				return all[:2], nil
			}
			return all[2:], nil
		})
		nodes := w.startAll([]string{"a", "b", "c", "d"}, seeds("all"), s.resolve)
		w.reason(nodes[0], "the addresses of all:7000 to stay the same for a while; here are a, b")
		w.agree(10*time.Second, nodes...)
		w.founded()
	})
}

// A name that leads only to this node may stand for further nodes that the resolver does not show.
func TestANameThatLeadsToThisNodeAlone(t *testing.T) {
	simulate(t, func(w *world) {
		s := w.nameServer()
		ip := s.host("a", "10.0.0.1")
		s.list("all", ip)
		a := w.start("a", seeds("all"), s.resolve)
		w.reason(a, "another node at all:7000, a name that leads to this node alone")
		if cause := a.m.Status().Cause; !errors.Is(cause, kv.ErrLoneSeed) {
			t.Errorf("the cause: %v", cause)
		}
		time.Sleep(time.Minute)
		if a.m.current() != nil {
			t.Fatal("it founded a cluster of its own")
		}
		s.list("all", ip, s.host("b", "10.0.0.2"))
		w.reason(a, "seeds that do not answer: all:7000 at 10.0.0.2:7000")
		b := w.start("b", seeds("all"), s.resolve)
		w.agree(10*time.Second, a, b)
		w.founded()
	})
	// An operator who wants a cluster of one can say so in these ways.
	for name, options := range map[string][]option{
		"by its number":           {seeds("all"), expects(1)},
		"by its address":          {func(c *Config, _ *process) { c.Seeds = []transport.Address{"10.0.0.1:7000"} }},
		"by its name":             {seeds("a")},
		"by its name differently": {func(c *Config, _ *process) { c.Seeds = []transport.Address{"A.:7000"} }},
		"as this machine":         {func(c *Config, _ *process) { c.Seeds = []transport.Address{"localhost:7000"} }},
	} {
		t.Run(name, func(t *testing.T) {
			simulate(t, func(w *world) {
				s := w.nameServer()
				s.list("all", s.host("a", "10.0.0.1"))
				w.net.lead("localhost:7000", address("a"))
				w.agree(2*time.Second, w.start("a", append(options, s.resolve)...))
			})
		})
	}
}

// M9 holds for each address of a name: a node that does not answer there may be a member of a
// cluster that lives on.
func TestASilentAddressOfASeedNameIsWaitedFor(t *testing.T) {
	simulate(t, func(w *world) {
		s := w.nameServer()
		ipA, ipB, gone := s.host("a", "10.0.0.1"), s.host("b", "10.0.0.2"), netip.MustParseAddr("10.0.0.9")
		s.list("all", ipA, ipB, gone)
		a, b := w.start("a", seeds("all"), s.resolve), w.start("b", seeds("all"), s.resolve)
		w.reason(a, "seeds that do not answer: all:7000 at 10.0.0.9:7000")
		s.list("all", ipA, ipB)
		time.Sleep(20 * time.Second) // a later look-up could list the address again
		if a.m.current() != nil {
			t.Fatal("founded without the node at 10.0.0.9")
		}
		s.list("all")
		w.reason(a, "all:7000 (no such host)")
		time.Sleep(20 * time.Second)
		if a.m.current() != nil {
			t.Fatal("founded while the seeds' addresses could not be looked up")
		}
		s.list("all", ipA, ipB)
		w.agree(10*time.Second, a, b)
		w.founded()
	})
}

// A silent address that cannot belong to another node does not hold a founding up.
func TestSilenceThatDoesNotCount(t *testing.T) {
	silent4, silent6 := netip.MustParseAddr("10.0.0.9"), netip.MustParseAddr("fd00::9")
	for _, c := range []struct {
		name  string
		seeds []string
		setup func(w *world, s *nameServer, ipA, ipB netip.Addr)
	}{
		{"at further addresses of a name that its node advertises", []string{"a", "b"}, func(_ *world, s *nameServer, ipA, ipB netip.Addr) {
			s.list("a", silent4, silent6, ipA)
			s.list("b", ipB, silent4, silent6)
		}},
		{"in the other family, of the same machine", []string{"ay", "bee"}, func(_ *world, s *nameServer, ipA, ipB netip.Addr) {
			s.list("ay", ipA, silent6)
			s.list("bee", silent6, ipB)
			s.machines["a"], s.machines["b"] = []netip.Addr{silent6, ipA}, []netip.Addr{silent6, ipB}
		}},
		{"of a node to itself", []string{"all"}, func(w *world, s *nameServer, ipA, ipB netip.Addr) {
			s.list("all", ipA, ipB)
			w.net.filter(func(from, to transport.Address, _ []byte) bool { return from == to }, nil)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			simulate(t, func(w *world) {
				s := w.nameServer()
				c.setup(w, s, s.host("a", "10.0.0.1"), s.host("b", "10.0.0.2"))
				if c.seeds[0] == "a" {
					c.setup(w, s, netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2"))
				}
				a, b := w.start("a", seeds(c.seeds...), s.resolve), w.start("b", seeds(c.seeds...), s.resolve)
				w.agree(15*time.Second, a, b)
				w.founded()
			})
		})
	}
}

// Several seeds that name one node count as one node.
func TestSeedsThatNameANodeTwice(t *testing.T) {
	simulate(t, func(w *world) {
		s := w.nameServer()
		s.list("bee", s.host("b", "10.0.0.2"))
		s.list("all", s.host("a", "10.0.0.1"), netip.MustParseAddr("10.0.0.2"))
		all := func(c *Config, _ *process) {
			c.Seeds = []transport.Address{"b:7000", "B.:7000", "bee:7000", "10.0.0.2:7000", "[::ffff:10.0.0.2]:7000", "a:7000", "10.0.0.1:7000", "all:7000"}
		}
		w.net.lead("bee:7000", address("b"))
		w.net.lead("[::ffff:10.0.0.2]:7000", address("b"))
		a, b := w.start("a", all, s.resolve), w.start("b", all, s.resolve)
		w.agree(10*time.Second, a, b)
		w.founded()
	})
}

// A node can join by a name that stands for several nodes, even when the name lists the joining
// node itself first.
func TestJoinByANameOfSeveral(t *testing.T) {
	simulate(t, func(w *world) {
		s := w.nameServer()
		ipA, ipB, ipD := s.host("a", "10.0.0.1"), s.host("b", "10.0.0.2"), s.host("d", "10.0.0.0")
		a := w.start("a")
		w.agree(time.Second, a)
		s.list("all", ipD, ipA, ipB)
		d := w.start("d", via("all"), s.resolve)
		w.agree(10*time.Second, a, d)
		// A name that leads to two clusters is refused: the caller has to name one of them.
		b := w.start("b")
		w.agree(time.Second, b)
		e := w.start("e", via("all"), s.resolve)
		w.until("the join ends", 10*time.Second, e.over)
		if !errors.Is(e.err, kv.ErrPeerUnreachable) || !strings.Contains(e.err.Error(), "name one of the two") {
			t.Errorf("ended with %v", e.err)
		}
	})
}

func TestSameAddress(t *testing.T) {
	for _, c := range []struct {
		a, b transport.Address
		want bool
	}{
		{"node-a:9080", "NODE-A.:9080", true},
		{"node-a:9080", "node-a:9081", false},
		{"node-a:9080", "node-a.example:9080", false},
		{"[::1]:9080", "[0:0:0:0:0:0:0:1]:9080", true},
		{"127.0.0.1:9080", "[::ffff:127.0.0.1]:9080", true},
		{"[fe80::1%eth0]:9080", "[fe80::1%eth1]:9080", false},
		{"no port", "no port", true},
	} {
		if got := sameAddress(c.a, c.b); got != c.want {
			t.Errorf("%s and %s: %v", c.a, c.b, got)
		}
	}
}

// A name of two machines, one in each address family, is not taken for a name of one node. The
// silent machine may be about to start, or be out of reach.
func TestANameOfTwoMachinesInTwoFamilies(t *testing.T) {
	t.Run("one is not up yet", func(t *testing.T) {
		simulate(t, func(w *world) {
			s := w.nameServer()
			s.list("rack", s.host("a", "10.0.0.1"), s.host("b", "fd00::2"))
			s.host("c", "10.0.0.3")
			a, c := w.start("a", seeds("rack", "c"), s.resolve), w.start("c", seeds("rack", "c"), s.resolve)
			time.Sleep(20 * time.Second)
			if top := c.m.current(); top != nil {
				t.Fatalf("founded without b: %v", top.Names())
			}
			w.agree(10*time.Second, a, w.start("b", seeds("rack", "c"), s.resolve), c)
			w.founded()
		})
	})
	t.Run("the families do not reach each other", func(t *testing.T) {
		simulate(t, func(w *world) {
			s := w.nameServer()
			s.list("rack1", s.host("a", "10.0.0.1"), s.host("b", "fd00::2"))
			s.list("rack2", s.host("c", "10.0.0.3"), s.host("d", "fd00::4"))
			four := map[transport.Address]bool{"a:7000": true, "c:7000": true}
			w.net.filter(func(from, to transport.Address, _ []byte) bool { return four[from] != four[to] }, nil)
			all := w.startAll([]string{"a", "b", "c", "d"}, seeds("rack1", "rack2"), s.resolve)
			time.Sleep(20 * time.Second)
			w.net.filter(nil, nil)
			w.agree(20*time.Second, all...)
			w.founded()
		})
	})
}
