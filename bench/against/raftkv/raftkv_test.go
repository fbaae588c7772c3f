package raftkv

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"viakv/api/apitest"
	"viakv/api/client"
	"viakv/bench/check"
)

func TestMain(m *testing.M) { apitest.VerifyNoLeaks(m) }

// cluster is a cluster within the test.
type cluster struct {
	nodes   []*Node
	clients []*client.Client
}

// start starts three nodes that tick faster than others, and waits until all of them know a leader.
func start(t *testing.T) *cluster {
	t.Helper()
	const n = 3
	c := new(cluster)
	var peers []net.Listener
	var addresses []string
	listen := func() net.Listener {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	for range n {
		l := listen()
		peers, addresses = append(peers, l), append(addresses, l.Addr().String())
	}
	for i := range n {
		node, err := Start(Config{ID: uint64(i + 1), Peer: peers[i], Peers: addresses, Tick: 20 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(node.Close)
		l := listen()
		served := make(chan error, 1)
		go func() { served <- node.Serve(l) }()
		t.Cleanup(func() {
			_ = l.Close()
			<-served
		})
		one, err := client.New(client.Config{Endpoints: []string{"http://" + l.Addr().String()}, Timeout: 10 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(one.Close)
		c.nodes, c.clients = append(c.nodes, node), append(c.clients, one)
	}
	c.led(t, c.nodes...)
	return c
}

// led waits until the nodes know one leader that is among them.
func (c *cluster) led(t *testing.T, nodes ...*Node) *Node {
	t.Helper()
	for {
		for _, leader := range nodes {
			all := true
			for _, n := range nodes {
				all = all && n.lead.Load() == leader.config.ID
			}
			if all {
				return leader
			}
		}
		if t.Context().Err() != nil {
			t.Fatal("no leader")
		}
		time.Sleep(time.Millisecond)
	}
}

// set sets a key at one of the nodes. It tries again while there is no leader, which happens on a
// machine that has too much to do.
func set(t *testing.T, key, value string, at ...*client.Client) {
	t.Helper()
	for i := 0; ; i++ {
		_, err := at[i%len(at)].Set(t.Context(), key, value)
		if err == nil {
			return
		}
		if i > 1000 {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
	}
}

func TestASetIsSeenAtEveryNode(t *testing.T) {
	c := start(t)
	ctx := t.Context()
	for round := range 30 {
		for i, at := range c.clients {
			key, value := fmt.Sprintf("key %d", i), fmt.Sprintf("value & %d", round)
			set(t, key, value, at)
			for k, other := range c.clients {
				if got, err := other.Get(ctx, key); err != nil || got != value {
					t.Fatalf("node %d: %q, %v, want %q", k, got, err, value)
				}
			}
		}
	}
}

func TestARemoveKnowsWhetherTheKeyWasThere(t *testing.T) {
	c := start(t)
	ctx := t.Context()
	set(t, "k", "", c.clients[0])
	if is, err := c.clients[1].Has(ctx, "k"); err != nil || !is {
		t.Errorf("is: %v, %v", is, err)
	}
	if err := c.clients[2].Remove(ctx, "k"); err != nil {
		t.Error(err)
	}
	if err := c.clients[1].Remove(ctx, "k"); !errors.Is(err, client.ErrMissing) {
		t.Errorf("removed twice: %v", err)
	}
	if _, err := c.clients[0].Get(ctx, "k"); !errors.Is(err, client.ErrMissing) {
		t.Errorf("found after its removal: %v", err)
	}
}

// TestItIsLinearizable checks what concurrent clients are told while the leader is paused, goes on
// after another one was elected, and the next leader ends.
func TestItIsLinearizable(t *testing.T) {
	c := start(t)
	ctx, cancel := context.WithCancel(t.Context())
	recorded := make(chan *check.History)
	go func() {
		recorded <- check.Record(ctx, check.Config{Endpoints: c.clients, Clients: 9, ActiveKeys: 3, OpsPerKey: 200, Duration: time.Minute, Seed: 1, Prefix: "check-"})
	}()
	others := func(leader *Node) (nodes []*Node, clients []*client.Client) {
		for i, n := range c.nodes {
			if n != leader {
				nodes, clients = append(nodes, n), append(clients, c.clients[i])
			}
		}
		return nodes, clients
	}
	set(t, "goes on", "x", c.clients...)
	time.Sleep(200 * time.Millisecond)
	leader := c.led(t, c.nodes...)
	nodes, clients := others(leader)
	resume := sync.OnceFunc(leader.pause())
	defer resume()
	c.led(t, nodes...)
	set(t, "goes on", "x", clients...)
	time.Sleep(200 * time.Millisecond)
	resume()
	leader = c.led(t, c.nodes...)
	set(t, "goes on", "x", c.clients...)
	nodes, clients = others(leader)
	leader.Close()
	c.led(t, nodes...)
	set(t, "goes on", "x", clients...)
	time.Sleep(500 * time.Millisecond) // of load, so that there is something to judge
	cancel()
	v := (<-recorded).Check(context.Background(), 10*time.Second, nil)
	if len(v.Violations) > 0 || v.Undecided > 0 || v.Operations < 200 {
		t.Errorf("%+v", v)
	}
}

// A follower that was away for longer than the log of the others reaches back gets a snapshot. No
// log grows without end.
func TestAFollowerThatIsFarBehindGetsASnapshot(t *testing.T) {
	c := start(t)
	leader := c.led(t, c.nodes...)
	behind := 0
	if leader == c.nodes[behind] {
		behind = 1
	}
	resume := sync.OnceFunc(c.nodes[behind].pause())
	defer resume()
	asked := c.clients[leader.config.ID-1]
	const sets = 3*keepEntries + 100
	for i := range sets {
		set(t, fmt.Sprint("key ", i%50), fmt.Sprint("value ", i), asked)
	}
	resume()
	for i := sets - 50; i < sets; i++ {
		want := fmt.Sprint("value ", i)
		if got, err := c.clients[behind].Get(t.Context(), fmt.Sprint("key ", i%50)); err != nil || got != want {
			t.Fatalf("%q, %v, want %q", got, err, want)
		}
	}
	for i, n := range c.nodes {
		resume := n.pause()
		first, err := n.log.FirstIndex()
		if err != nil || first < sets-2*keepEntries {
			t.Errorf("the log of node %d begins at %d, %v", i, first, err)
		}
		resume()
	}
}

// pause makes the node do nothing until the returned function is called, as one whose process is
// stopped.
func (n *Node) pause() (resume func()) {
	for {
		n.mu.Lock()
		if !n.atWork {
			n.atWork = true
			n.mu.Unlock()
			break
		}
		n.mu.Unlock()
		runtime.Gosched()
	}
	return func() {
		n.mu.Lock()
		n.atWork = false
		n.mu.Unlock()
		n.work(-1)
	}
}
