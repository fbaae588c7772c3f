package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"viakv/api/client"
	"viakv/api/document"
)

// cluster is the nodes, the links between them, and a client for each node.
type cluster struct {
	fabric  *fabric
	links   []*link
	nodes   []*process // the last one is a spare that joins and leaves
	http    []string
	peers   []string
	clients []*client.Client // for clients' requests
	control []*client.Client // for questions about the cluster, with a short time-out
	members int              // nodes of the founded cluster
}

const (
	controlTimeout = time.Second
	pollEvery      = 50 * time.Millisecond
)

func nodeName(i int) string { return "node-" + string(rune('a'+i)) }

// newCluster prepares n nodes and a spare, and starts none of them. With direct there are no links:
// the nodes reach each other as they would without this package.
func newCluster(binary, logDir string, n int, timeout time.Duration, direct bool) (c *cluster, err error) {
	c = &cluster{fabric: newFabric(), members: n}
	defer func() {
		if err != nil {
			c.close()
		}
	}()
	all := n + 1 // with the spare
	addresses, err := freeAddresses(2 * all)
	if err != nil {
		return nil, err
	}
	c.http, c.peers = addresses[:all], addresses[all:]
	seeds := strings.Join(c.peers[:n], ",")
	for i := range all {
		args := []string{"serve", "--name", nodeName(i), "--http", c.http[i], "--peer", c.peers[i], "--seeds", seeds, "--drain", "50ms",
			"--log-format", "json", "--log-level", "info"}
		for k := range all {
			if k == i || direct {
				continue
			}
			l, err := newLink(c.fabric, i, k, c.peers[k])
			if err != nil {
				return nil, err
			}
			c.links = append(c.links, l)
			args = append(args, "--peer-via", c.peers[k]+"="+l.address())
		}
		c.nodes = append(c.nodes, &process{name: nodeName(i), binary: binary, args: args, log: filepath.Join(logDir, nodeName(i)+".log")})
		for _, made := range []struct {
			list    *[]*client.Client
			timeout time.Duration
			control time.Duration
		}{{&c.clients, timeout, 10 * time.Second}, {&c.control, controlTimeout, 30 * time.Second}} {
			one, err := client.New(client.Config{Endpoints: []string{c.http[i]}, Timeout: made.timeout, ControlTimeout: made.control, DialTimeout: controlTimeout})
			if err != nil {
				return nil, err
			}
			*made.list = append(*made.list, one)
		}
	}
	return c, nil
}

// freeAddresses asks the kernel for ports that are free now. Each comes with a loopback address of
// its own. On 127.0.0.1 an outgoing connection of another program may take the port before the node
// does; on an address of its own none does. A system with 127.0.0.1 alone gets ports on that.
func freeAddresses(n int) ([]string, error) {
	var out []string
	for range n {
		l, err := net.Listen("tcp", fmt.Sprintf("127.%d.%d.%d:0", 78+rand.IntN(100), rand.IntN(256), 1+rand.IntN(254)))
		if err != nil {
			l, err = net.Listen("tcp", "127.0.0.1:0")
		}
		if err != nil {
			return nil, err
		}
		// Closed together at the end, so that all ports differ.
		defer func() { _ = l.Close() }()
		out = append(out, l.Addr().String())
	}
	return out, nil
}

// start starts the members and waits until they have founded a cluster.
func (c *cluster) start(ctx context.Context, within time.Duration) error {
	for _, p := range c.nodes[:c.members] {
		if err := p.start(); err != nil {
			return err
		}
	}
	if err := c.settle(ctx, nil, within); err != nil {
		return fmt.Errorf("the cluster was not founded: %w (the nodes' logs are in %s)", err, filepath.Dir(c.nodes[0].log))
	}
	return nil
}

// close ends everything that was started (X5).
func (c *cluster) close() {
	var ending sync.WaitGroup
	for _, p := range c.nodes {
		ending.Go(p.kill)
	}
	ending.Wait()
	for _, l := range c.links {
		l.close()
	}
	for _, one := range append(c.clients, c.control...) {
		one.Close()
	}
}

// settled returns nil when all nodes agree on one cluster: every running node answers with the same
// epoch and members and with no change under way, and each member is active. The excused nodes are
// left out. The error says what is missing.
func (c *cluster) settled(ctx context.Context, excused map[int]bool) error {
	var (
		asking sync.WaitGroup
		mu     sync.Mutex
		faults []error
		epochs = map[uint64]bool{}
	)
	for i, p := range c.nodes {
		if excused[i] || i == c.members && !p.alive() {
			continue
		}
		asking.Go(func() {
			err := c.settledAt(ctx, i, excused, func(s document.Status) {
				mu.Lock()
				defer mu.Unlock()
				epochs[s.Epoch] = true
			})
			if err != nil {
				mu.Lock()
				defer mu.Unlock()
				faults = append(faults, fmt.Errorf("%s: %w", nodeName(i), err))
			}
		})
	}
	asking.Wait()
	if len(faults) == 0 && len(epochs) > 1 {
		faults = append(faults, fmt.Errorf("nodes are at %d different epochs", len(epochs)))
	}
	return errors.Join(faults...)
}

func (c *cluster) settledAt(ctx context.Context, i int, excused map[int]bool, tell func(document.Status)) error {
	if !c.nodes[i].alive() {
		return errors.New("does not run")
	}
	s, err := c.control[i].Cluster(ctx)
	switch {
	case err != nil:
		return err
	case s.State != "active":
		return fmt.Errorf("is %s (%s)", s.State, s.Reason)
	case s.Unsettled != "":
		return fmt.Errorf("a change is under way: %s", s.Unsettled)
	}
	there := map[string]bool{}
	for _, m := range s.Members {
		there[m.Name] = true
		if m.State != "active" && !excused[c.index(m.Name)] {
			return fmt.Errorf("%s is %s", m.Name, m.State)
		}
	}
	for k := range c.members {
		if !there[nodeName(k)] && !excused[k] {
			return fmt.Errorf("%s is no member", nodeName(k))
		}
	}
	tell(s)
	return nil
}

func (c *cluster) index(name string) int {
	for i := range c.nodes {
		if nodeName(i) == name {
			return i
		}
	}
	return -1
}

// settle waits until the cluster is settled, for as long as within says.
func (c *cluster) settle(ctx context.Context, excused map[int]bool, within time.Duration) error {
	deadline := time.Now().Add(within)
	for {
		err := c.settled(ctx, excused)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case time.Now().After(deadline):
			return fmt.Errorf("not within %v: %w", within, err)
		}
		pause(ctx, pollEvery)
	}
}

// digests returns the digests of all members, and whether they are equal.
func (c *cluster) digests(ctx context.Context) (all []string, equal bool) {
	equal = true
	for i := range c.members {
		s, err := c.control[i].Cluster(ctx)
		if err != nil {
			return append(all, nodeName(i)+": "+err.Error()), false
		}
		if all = append(all, s.Digest); s.Digest != all[0] {
			equal = false
		}
	}
	return all, equal
}

func (c *cluster) crashes() (all []string) {
	for _, p := range c.nodes {
		all = append(all, p.crashed()...)
	}
	return all
}

func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// logsIn makes the directory for the nodes' logs.
func logsIn(dir string) (string, error) {
	if dir == "" {
		return os.MkdirTemp("", "viakv-chaos-")
	}
	return dir, os.MkdirAll(dir, 0o755)
}
