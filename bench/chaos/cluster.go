package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"viakv/api/client"
	"viakv/api/sleep"
)

// Lab is a cluster of processes whose faults the caller chooses, one by one. It has the nodes, the
// links between them, and a client for each node. Its nodes are numbered: the members from 0 on,
// then a spare. The spare has the members as its seeds and joins them when it is started.
type Lab struct {
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

// StartLab founds a cluster of that many nodes. Each client request ends after timeout. Close ends
// the cluster.
func StartLab(ctx context.Context, binary, logDir string, nodes int, timeout time.Duration) (*Lab, error) {
	return found(ctx, binary, logDir, nodes, timeout, false)
}

// StartCalm founds a cluster without links, for measurements. Faults of its network have no effect.
// The flags are given to each node, after those that it needs.
func StartCalm(ctx context.Context, binary, logDir string, nodes int, flags ...string) (*Lab, error) {
	return found(ctx, binary, logDir, nodes, 10*time.Second, true, flags...)
}

func found(ctx context.Context, binary, logDir string, nodes int, timeout time.Duration, direct bool, flags ...string) (*Lab, error) {
	l := &Lab{fabric: newFabric(), members: nodes}
	err := l.prepare(binary, logDir, timeout, direct, flags...)
	if err == nil {
		err = l.start(ctx)
	}
	if err != nil {
		crashes := joinLines(l.Crashes())
		l.Close()
		return nil, errors.Join(err, crashes)
	}
	return l, nil
}

// prepare makes the members and a spare, and starts none of them. With direct there are no links:
// the nodes reach each other as they would without this package.
func (l *Lab) prepare(binary, logDir string, timeout time.Duration, direct bool, flags ...string) error {
	all := l.members + 1 // with the spare
	addresses, err := freeAddresses(2 * all)
	if err != nil {
		return err
	}
	l.http, l.peers = addresses[:all], addresses[all:]
	seeds := strings.Join(l.peers[:l.members], ",")
	for i := range all {
		args := []string{"serve", "--name", nodeName(i), "--http", l.http[i], "--peer", l.peers[i], "--seeds", seeds, "--drain", "50ms",
			"--log-format", "json", "--log-level", "info"}
		for k := range all {
			if k == i || direct {
				continue
			}
			way, err := newLink(l.fabric, i, k, l.peers[k])
			if err != nil {
				return err
			}
			l.links = append(l.links, way)
			args = append(args, "--peer-via", l.peers[k]+"="+way.address())
		}
		l.nodes = append(l.nodes, &process{name: nodeName(i), binary: binary, args: append(args, flags...), log: filepath.Join(logDir, nodeName(i)+".log")})
		for _, made := range []struct {
			list    *[]*client.Client
			timeout time.Duration
			control time.Duration
		}{{&l.clients, timeout, 10 * time.Second}, {&l.control, controlTimeout, 30 * time.Second}} {
			one, err := client.New(client.Config{Endpoints: []string{l.http[i]}, Timeout: made.timeout, ControlTimeout: made.control, DialTimeout: controlTimeout})
			if err != nil {
				return err
			}
			*made.list = append(*made.list, one)
		}
	}
	return nil
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
func (l *Lab) start(ctx context.Context) error {
	for _, p := range l.nodes[:l.members] {
		if err := p.start(); err != nil {
			return err
		}
	}
	if err := l.Settle(ctx, foundedWithin); err != nil {
		return fmt.Errorf("the cluster was not founded: %w (the nodes' logs are in %s)", err, filepath.Dir(l.nodes[0].log))
	}
	return nil
}

// Close ends everything that was started, and waits for it (X5).
func (l *Lab) Close() {
	var ending sync.WaitGroup
	for _, p := range l.nodes {
		ending.Go(p.kill)
	}
	ending.Wait()
	for _, k := range l.links {
		k.close()
	}
	for _, one := range append(l.clients, l.control...) {
		one.Close()
	}
}

// settled returns nil when all nodes agree on one cluster: every running node answers with the same
// epoch and members and with no change under way, and each member is active. The excused nodes are
// left out. The error says what is missing.
func (l *Lab) settled(ctx context.Context, excused ...int) error {
	var (
		asking sync.WaitGroup
		mu     sync.Mutex
		faults []error
		epochs = map[uint64]bool{}
	)
	for i, p := range l.nodes {
		if slices.Contains(excused, i) || i == l.members && !p.alive() {
			continue
		}
		asking.Go(func() {
			epoch, err := l.settledAt(ctx, i, excused)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				faults = append(faults, fmt.Errorf("%s: %w", nodeName(i), err))
			} else {
				epochs[epoch] = true
			}
		})
	}
	asking.Wait()
	if len(faults) == 0 && len(epochs) > 1 {
		faults = append(faults, fmt.Errorf("nodes are at %d different epochs", len(epochs)))
	}
	return errors.Join(faults...)
}

// settledAt returns the epoch of a node, or an error that says what the node lacks.
func (l *Lab) settledAt(ctx context.Context, i int, excused []int) (epoch uint64, err error) {
	if !l.nodes[i].alive() {
		return 0, errors.New("does not run")
	}
	s, err := l.control[i].Cluster(ctx)
	switch {
	case err != nil:
		return 0, err
	case s.State != "active":
		return 0, fmt.Errorf("is %s (%s)", s.State, s.Reason)
	case s.Unsettled != "":
		return 0, fmt.Errorf("a change is under way: %s", s.Unsettled)
	}
	there := map[string]bool{}
	for _, m := range s.Members {
		there[m.Name] = true
		if m.State != "active" && !slices.ContainsFunc(excused, func(k int) bool { return nodeName(k) == m.Name }) {
			return 0, fmt.Errorf("%s is %s", m.Name, m.State)
		}
	}
	for k := range l.members {
		if !there[nodeName(k)] && !slices.Contains(excused, k) {
			return 0, fmt.Errorf("%s is no member", nodeName(k))
		}
	}
	return s.Epoch, nil
}

// Settle waits until all nodes that should run answer at one epoch, all of them active, with no
// change under way. The excused nodes are left out.
func (l *Lab) Settle(ctx context.Context, within time.Duration, excused ...int) error {
	deadline := time.Now().Add(within)
	for {
		err := l.settled(ctx, excused...)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case time.Now().After(deadline):
			return fmt.Errorf("not within %v: %w", within, err)
		}
		sleep.For(ctx, pollEvery)
	}
}

// Digests returns the digests of all members, and whether they are equal.
func (l *Lab) Digests(ctx context.Context) (all []string, equal bool) {
	equal = true
	for i := range l.members {
		s, err := l.control[i].Cluster(ctx)
		if err != nil {
			return append(all, nodeName(i)+": "+err.Error()), false
		}
		if all = append(all, s.Digest); s.Digest != all[0] {
			equal = false
		}
	}
	return all, equal
}

// Crashes returns a line for each process that ended without being killed by the lab.
func (l *Lab) Crashes() (all []string) {
	for _, p := range l.nodes {
		all = append(all, p.crashed()...)
	}
	return all
}

// logsIn makes the directory for the nodes' logs.
func logsIn(dir string) (string, error) {
	if dir == "" {
		return os.MkdirTemp("", "viakv-chaos-")
	}
	return dir, os.MkdirAll(dir, 0o755)
}
